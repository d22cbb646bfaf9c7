"""A search that is interrupted goes on, and ends as if it had not been."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from sklearn.datasets import load_digits

from bitcliff.adapters import load_model
from bitcliff.cli.main import run
from bitcliff.errors import InputError
from bitcliff.questions.provocation.record import CONTROL, RANDOM
from bitcliff.questions.provocation.statistics import can_fail, failing_ids
from bitcliff.questions.provocation.store import PROVOKE
from bitcliff.questions.provocation.universal.store import UNIVERSAL
from bitcliff.run.assess_job import AssessJob, Listener
from bitcliff.run.guard_job import GuardJob, run_guard
from bitcliff.run.provoke_job import ProvokeJob, run_provoke, run_universal
from bitcliff.run.run_directory import finished_measurement
from bitcliff.types.guard import GuardSettings
from bitcliff.types.numerics import Numerics
from bitcliff.types.settings import ProvokeSettings
from tests.contract.runs import EVERYWHERE, QUIET

WITHIN = ("linf:24/255", "corruption:2")


def job(out: Path, **changes: object) -> ProvokeJob:
    what = AssessJob("base-digits", "digits", out, command="made by the tests", limit=5)
    settings = ProvokeSettings(within=WITHIN, effort=24).changed(**changes)
    return ProvokeJob(what, "four", EVERYWHERE, settings=settings)


def _failures(out: Path) -> list[Path]:
    return [*(out / "failures").glob("*/*/*.safetensors")]


def test_after_a_kill_it_goes_on_with_the_next_search(tmp_path: Path) -> None:
    told = list[str]()

    def stop(name: str, _done: int, _whole: int) -> None:
        told.append(name)
        if "corruption" in name:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_provoke(job(tmp_path / "cut"), Listener(told.append, lambda _plan: None, stop))
    assert (tmp_path / "cut" / "provoke.partial.jsonl").exists()
    assert not (tmp_path / "cut" / "provoke.json").exists()
    again = list[str]()
    listener = Listener(again.append, lambda _plan: None, lambda name, *_: again.append(name))
    resumed = run_provoke(job(tmp_path / "cut"), listener)
    assert "Going on after 4 searches made before" in again
    assert not any("linf" in one for one in again)
    whole = run_provoke(job(tmp_path / "whole"), QUIET)
    assert resumed.observed.searched == whole.observed.searched
    assert resumed.figures == whole.figures
    assert PROVOKE.read(tmp_path / "cut") == resumed
    assert not (tmp_path / "cut" / "provoke.partial.jsonl").exists()
    assert [one.within for one in whole.observed.searched] == list(WITHIN)
    for name in ("cut", "whole"):
        kept = sorted(file.relative_to(tmp_path / name) for file in _failures(tmp_path / name))
        assert len(kept) == sum(
            attempt.failure is not None
            for one in whole.observed.searched
            for attempts in one.attempts.values()
            for attempt in attempts
        )
    # At four bits some are found, and none where nothing is quantized.
    assert whole.figures.provoked.k
    for one in whole.observed.searched:
        assert {RANDOM, CONTROL} < one.attempts.keys()
        assert all(attempt.failure is None for attempt in one.attempts[CONTROL])
    # What is kept is what failed: float and the format part on it by what the record says.
    network, seen = load_model("base-digits").module, whole.observed
    ids = [parent.id for parent in can_fail(seen)]
    checked = 0
    for file in (tmp_path / "whole" / "failures" / "linf-24-255").glob("*/*"):
        parent, inputs = seen.parents[int(file.stem)], load_file(file)
        method = next(
            m for m in seen.searched[0].attempts if m.replace(" ", "-") == file.parent.name
        )
        failure = seen.searched[0].attempts[method][ids.index(parent.id)].failure
        assert failure is not None
        scores = network(inputs["failing.input"])[0]
        others = torch.cat([scores[: parent.wanted], scores[parent.wanted + 1 :]])
        lead = float(scores[parent.wanted] - others.max())
        assert lead == pytest.approx(failure.float_lead, abs=1e-4)
        change = (inputs["failing.input"] - inputs["example.input"]).abs().max()
        assert float(change) == pytest.approx(failure.distance, abs=1e-5)
        checked += 1
    assert checked


def test_a_scan_goes_on_after_a_kill_and_is_judged_by_the_gate(tmp_path: Path) -> None:
    def universal(out: Path) -> ProvokeJob:
        settings = ProvokeSettings(universal=True, within=("patch:3",), target=(3, 5), effort=16)
        asked = job(out)
        return replace(asked, what=replace(asked.what, limit=30), settings=settings)

    def stop(name: str, _done: int, _whole: int) -> None:
        if "class 5" in name:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_universal(universal(tmp_path / "cut"), replace(QUIET, progress=stop))
    with pytest.raises(InputError, match="its last run was interrupted"):
        finished_measurement(tmp_path / "cut", UNIVERSAL)
    told = list[str]()
    resumed = run_universal(universal(tmp_path / "cut"), replace(QUIET, stage=told.append))
    assert "Going on after 4 searches made before" in told
    whole = run_universal(universal(tmp_path / "whole"), QUIET)
    assert resumed.observed.scans == whole.observed.scans
    assert UNIVERSAL.read(tmp_path / "cut") == resumed
    assert [one.turned[CONTROL].k for one in whole.figures.scans[0].classes] == [0, 0]
    assert run(["gate", str(tmp_path / "whole"), "--max-provoked", "100"]) == 0
    assert run(["gate", str(tmp_path / "whole"), "--max-drop", "2"]) == 2
    with pytest.raises(InputError, match="the folder holds a run of `bitcliff provoke --universal"):
        run_provoke(job(tmp_path / "whole"), QUIET)


def test_a_lead_that_no_example_has_is_refused_before_the_folder_is_made(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"--delta 1000: no example .* the largest lead is"):
        run_provoke(job(tmp_path / "out", delta=1000.0), QUIET)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("within", "says"),
    [
        ("linf:0.001", "the set is empty: images change by levels of 1/255"),
        ("patch:9", "larger than the images"),
    ],
)
def test_a_set_that_holds_nothing_else_is_refused(tmp_path: Path, within: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        run_provoke(job(tmp_path / "out", within=(within,)), QUIET)


def test_a_guard_of_another_format_of_the_same_name_is_refused(tmp_path: Path) -> None:
    what = job(tmp_path / "guard").what
    settings = GuardSettings(alpha=0.1, delta=0.2)
    finer = EVERYWHERE.model_copy(
        update={"activations": Numerics(element="uint6", group="example", scale="minmax-zero")}
    )
    run_guard(GuardJob(replace(what, limit=80), ("four", finer), settings=settings), QUIET)
    asked = replace(job(tmp_path / "out"), guard=tmp_path / "guard")
    with pytest.raises(InputError, match=r"--guard .*it guards four \(.*uint6.*and not four"):
        run_provoke(asked, QUIET)
    (tmp_path / "guard" / "guard.partial.jsonl").write_text("{}")
    with pytest.raises(InputError, match="its last run was interrupted"):
        run_provoke(asked, QUIET)


def test_a_set_of_other_inputs_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="words can be changed for models from hf:"):
        run_provoke(job(tmp_path / "out", within=("text:2",)), QUIET)


def test_another_set_is_ranked_and_kept_over_a_kill(tmp_path: Path) -> None:
    pool = tmp_path / "pool.npz"
    np.savez(pool, x=load_digits().images[:400, None].astype(np.float32) / 16)
    within = f"data:{pool}"
    asked = job(tmp_path / "run", within=(within,))

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_provoke(asked, Listener(lambda _text: None, lambda _plan: None, stop))
    record = run_provoke(asked, QUIET)
    assert PROVOKE.read(tmp_path / "run") == record
    assert record.observed.searched == []
    (found,) = record.observed.ranked
    assert (found.data, found.n) == (str(pool), 400)
    kept = _kept_of_pool(tmp_path / "run")
    assert len(kept) == len(failing_ids(found)) > 0
    # What is kept is what failed.
    network = load_model("base-digits").module
    one = load_file(kept[0])["failing.input"]
    decided = {tried.id: tried.decided for tried in found.tried}
    assert int(network(one).argmax()) == decided[str(int(kept[0].stem))]
    page = (tmp_path / "run" / "report.html").read_text()
    assert "ranked by what float" in page
    assert "Every search, and its controls" not in page


def test_a_set_that_is_not_there_is_refused_before_any_network_runs(tmp_path: Path) -> None:
    told = list[str]()
    asked = job(tmp_path / "out", within=("linf:8/255", f"data:{tmp_path / 'nowhere'}"))
    with pytest.raises(InputError, match="nowhere"):
        run_provoke(asked, replace(QUIET, stage=told.append))
    assert not any("on the examples as they are" in one for one in told)


def _kept_of_pool(out: Path) -> list[Path]:
    return [*(out / "failures").glob("data-*/*.safetensors")]


@pytest.mark.parametrize(
    ("changes", "shape", "says"),
    [
        (
            {},
            (30, 1, 6, 6),
            r"its inputs are \(1, 6, 6\), and those of digits \(1, 8",
        ),
        ({}, (12, 1, 8, 8), "12 examples are too few to compare"),
        ({}, (30, 1, 8, 8), "and 40 are needed"),
        ({"max_provoked": 5.0}, (60, 1, 8, 8), "--max-provoked needs a set around the examples"),
    ],
)
def test_another_set_that_will_not_do_is_refused_in_a_line(
    tmp_path: Path, changes: dict[str, object], shape: tuple[int, ...], says: str
) -> None:
    pool = tmp_path / "pool.npz"
    np.savez(pool, x=np.random.default_rng(0).random(shape, dtype=np.float32))
    with pytest.raises(InputError, match=says) as refused:
        run_provoke(job(tmp_path / "run", within=(f"data:{pool}",), **changes), QUIET)
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "run" / "provoke.json").exists()
