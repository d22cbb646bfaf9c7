"""The record of `bitcliff isolate` on disk."""

import copy
import functools
import json
from pathlib import Path
from typing import Any

import pytest

from bitcliff.errors import InputError
from bitcliff.questions.isolation import statistics
from bitcliff.questions.isolation.record import IsolationObserved
from bitcliff.questions.isolation.statistics import problems
from bitcliff.questions.isolation.store import ISOLATION
from bitcliff.record import write_text_atomic
from bitcliff.record.store import check_figures, valid
from bitcliff.stats import clustered_rate, rate
from tests.questions.damage import another, hostile, leaves, with_value
from tests.questions.isolation.victims import followed, record


def written() -> dict[str, Any]:
    found = json.loads(ISOLATION.json(record()))
    assert isinstance(found, dict)
    return found


def refused(folder: Path, fields: object, says: str) -> None:
    (folder / ISOLATION.file_name).write_text(json.dumps(fields))
    with pytest.raises(InputError, match=says) as told:
        ISOLATION.read(folder)
    assert "\n" not in str(told.value)


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    write_text_atomic(tmp_path / ISOLATION.file_name, ISOLATION.json(record()))
    assert ISOLATION.read(tmp_path) == record()


def test_what_is_no_such_record_is_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read: No such file"):
        ISOLATION.read(tmp_path)
    fields = written()
    says = r"schema_version 9\.0, but this Bitcliff reads 3\.0"
    refused(tmp_path, {**fields, "schema_version": "9.0"}, says)
    refused(tmp_path, {**fields, "schema_version": []}, "schema_version .*, but this Bitcliff")
    without = {key: one for key, one in fields.items() if key != "victims"}
    refused(tmp_path, without, "not a Bitcliff record: victims: Field")
    refused(tmp_path, {**fields, "schema_version": "1.0"}, "of schema 1.0")
    (tmp_path / ISOLATION.file_name).write_text("{")
    with pytest.raises(InputError, match="not a whole JSON file"):
        ISOLATION.read(tmp_path)


def test_no_figure_can_be_changed(tmp_path: Path) -> None:
    fields, right = written(), record().figures.model_dump()
    for way, value in leaves(fields["figures"]):
        wrong = with_value(fields["figures"], way, another(value))
        with pytest.raises(InputError, match="figures"):
            check_figures(wrong, right, "a record")
    refused(tmp_path, {**fields, "figures": wrong}, "inconsistent record: figures")
    del fields["figures"]
    refused(tmp_path, fields, "inconsistent record: figures")


@pytest.mark.parametrize("version", ["2.0", "2.1"])
def test_a_record_of_batchmates_is_read_and_its_figures_are_worked_out(
    tmp_path: Path, version: str
) -> None:
    fields = written()
    del fields["proof"]
    figures = {**fields["figures"], "situations": []}
    text = json.dumps({**fields, "schema_version": version, "figures": figures})
    (tmp_path / "batchmates.json").write_text(text)
    assert ISOLATION.read(tmp_path) == record()


def test_damage_to_what_was_observed_is_refused_or_changes_no_figure(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # The same few intervals again and again.
    monkeypatch.setattr(statistics, "rate", functools.cache(rate))
    known = functools.cache(lambda hits, trials: clustered_rate(hits, trials))
    monkeypatch.setattr(
        statistics, "clustered_rate", lambda hits, trials: known(tuple(hits), tuple(trials))
    )
    fields, right = written(), record().figures.model_dump()
    observed = {key: one for key, one in fields.items() if key not in ("schema_version", "figures")}
    for part in ("victims", "settings", "positive_control"):
        few = observed[part][:1] if part == "victims" else observed[part]
        for way, value in leaves(few, (part,)):
            for wrong in (another(value), *hostile(value)):
                _refused_or_alike(with_value(observed, way, wrong), right)


@pytest.mark.parametrize("crossing", [0, 3])
def test_damage_to_a_proof_is_refused_or_changes_no_figure(crossing: int) -> None:
    kept = followed(crossing=crossing)
    fields, right = json.loads(ISOLATION.json(kept)), kept.figures.model_dump()
    observed = {key: one for key, one in fields.items() if key not in ("schema_version", "figures")}
    tried = 0
    for way, value in leaves(observed["proof"], ("proof",)):
        for wrong in (another(value), *hostile(value)):
            tried += 1
            _refused_or_alike(with_value(observed, way, wrong), right)
    assert tried > 500


@pytest.mark.parametrize("crossing", [0, 3])
def test_a_whole_proof_is_written_and_read_back(tmp_path: Path, crossing: int) -> None:
    kept = followed(crossing=crossing)
    write_text_atomic(tmp_path / ISOLATION.file_name, ISOLATION.json(kept))
    assert ISOLATION.read(tmp_path) == kept


def test_no_victims_are_taken_for_a_proof(tmp_path: Path) -> None:
    fields = json.loads(ISOLATION.json(followed(crossing=3)))
    refused(tmp_path, {**fields, "victims": []}, "0 victims, against whether isolation is proved")
    fields = json.loads(ISOLATION.json(followed()))
    refused(tmp_path, {**fields, "proof": None}, "there is neither a proof nor a victim")


def _refused_or_alike(fields: dict[str, Any], figures: dict[str, Any]) -> None:
    try:
        found = valid(IsolationObserved, fields, "a record")
    except InputError:
        return
    if any(True for _ in problems(found)):
        return
    worked_out = statistics.figures(found).model_dump()
    if worked_out != figures:
        with pytest.raises(InputError, match="figures"):
            check_figures(figures, worked_out, "a record")


def test_schema_1_0_is_read_under_todays_names_and_its_figures_are_worked_out(
    tmp_path: Path,
) -> None:
    now = record()
    text = ISOLATION.json(now).encode("utf-8", "backslashreplace").decode()
    (tmp_path / "batchmates.json").write_text(json.dumps(_of_1_0(json.loads(text))))
    again = ISOLATION.read(tmp_path)
    assert again.figures.situations == now.figures.situations
    assert again.observed.positive_control is True
    assert again.observed.victims[1] == now.observed.victims[1]


def _of_1_0(fields: dict[str, Any]) -> dict[str, Any]:
    was = copy.deepcopy(fields)
    was |= {"schema_version": "1.0", "twin": was.pop("reference_runtime")}
    figures = was.pop("figures")
    for name in ("flipped", "status", "proof", "counterexamples", "runs"):
        del figures[name]
    del was["proof"]
    was |= {"planted_flips": was.pop("positive_control"), **figures}
    subject = was["subject"]
    subject["coverage"] = {"complete": True, "uncovered": subject.pop("uncovered")}
    for point in subject["points"]:
        del point["site"]
    for victim in was["victims"]:
        victim["picture"], victim["companion_picture"] = (
            victim.pop("image"),
            victim.pop("companion_image"),
        )
        victim["checked"]["twin"] = victim["checked"].pop("reference")
        for name in ("alone", "random"):
            victim["baseline"][f"twin_{name}"] = victim["baseline"].pop(f"reference_{name}")
    return was
