import json
import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from bitcliff.adapters import DataOptions
from bitcliff.audit import AssessSettings
from bitcliff.audit.schedule import Schedule
from bitcliff.errors import InputError
from bitcliff.questions.context import Context
from bitcliff.questions.kinds import KINDS
from bitcliff.record import Explained, Record, read_record, record_of, write_record
from bitcliff.record.part import Part
from bitcliff.run import explain_job
from bitcliff.run.assess_job import AssessJob, Listener, run_assess
from bitcliff.run.explain_job import QUESTIONS, ExplainJob, run_explain
from bitcliff.run.run_directory import held
from tests.a_record import with_conditions

WITHOUT = DataOptions()
QUIET = Listener(lambda _text: None, lambda _plan: None, lambda *_step: None)


def assessed(
    out: Path, data: str = "digits", n: int = 24, data_options: DataOptions = WITHOUT
) -> Record:
    settings = AssessSettings(
        budgets=(5.5,), uniform=(5, 8), rounds=1, exchanges=2, evaluations=0, draws=2
    )
    job = AssessJob(
        "brittle-digits",
        data,
        out,
        "bitcliff",
        limit=n,
        settings=settings,
        data_options=data_options,
    )
    return run_assess(job, QUIET)[0]


def changed(record: Record, **changes: Any) -> Record:
    """The same run, of which something else was observed."""
    return record_of(record.observed.model_copy(update=changes))


def explained_in(record: Record) -> Explained:
    assert record.explained is not None
    return record.explained


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of the planted case on a few digits."""
    out = tmp_path_factory.mktemp("explain") / "run"
    assessed(out)
    return out


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> Path:
    """The same, to be changed."""
    return Path(shutil.copytree(finished, tmp_path / "run"))


@pytest.fixture
def contexts(run: Path, monkeypatch: pytest.MonkeyPatch) -> list[Context]:
    """What the questions are asked of, without asking them."""
    seen: list[Context] = []

    def answered(_job: ExplainJob, context: Context, explained: Explained, *_: Any) -> Record:
        seen.append(context)
        return changed(context.record, explained=explained)

    monkeypatch.setattr(explain_job, "_answered", answered)
    return seen


def test_the_context_is_the_run_that_was_recorded(run: Path, contexts: list[Context]) -> None:
    record = run_explain(ExplainJob(run, n_train=30), QUIET)
    (context,) = contexts
    assert context.policies == ("worst-5.5", "co-trained-5.5", "uniform-5")
    for name in context.policies:
        bits = context.test.allocations[name]
        scores = context.test.evaluator.scores(context.test.everyone, bits)
        assert scores.predictions.tolist() == record.outcomes[name].prediction.tolist()
    train = context.train
    assert train is not None
    assert len(train.examples) == 30
    assert not set(train.examples.ids) & set(context.test.examples.ids)
    assert {name: bits.shape for name, bits in train.allocations.items()} == dict.fromkeys(
        context.policies, torch.Size([30, 20])
    )
    assert train.allocations["worst-5.5"].sum(1).unique().tolist() == [110]
    assert explained_in(record).n_train == 30
    assert read_record(run, KINDS) == record


def test_worst_bits_of_training_examples_are_looked_for_only_where_layers_are_asked(
    run: Path, contexts: list[Context]
) -> None:
    record = run_explain(ExplainJob(run, questions=("inputs",), n_train=30), QUIET)
    train = contexts[0].train
    assert train is not None
    assert (len(train.examples), train.allocations) == (30, {})
    assert explained_in(record).n_train == 30


def test_policies_may_be_named_and_the_training_split_left_out(
    run: Path, contexts: list[Context]
) -> None:
    run_explain(ExplainJob(run, ("uniform-8",), n_train=0), QUIET)
    (context,) = contexts
    assert context.policies == ("uniform-8",)
    assert context.sides == (context.test,)


@pytest.mark.parametrize("label_map", [None, {str(digit): 9 - digit for digit in range(10)}])
def test_data_without_splits_has_no_training_side(
    label_map: dict[str, int] | None,
    tmp_path: Path,
    contexts: list[Context],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    from sklearn.datasets import load_digits

    bunch = load_digits()
    pictures = np.asarray(bunch.images[-40:] / 16, dtype=np.float32)[:, None]
    big = torch.nn.functional.interpolate(torch.from_numpy(pictures), (16, 16)).numpy()
    np.savez("own.npz", x=big, y=bunch.target[-40:])
    assessed(Path("run"), "own.npz", 12, DataOptions(label_map=label_map))
    # Drawn in other numbers, two parts of the same data may have no example in common.
    for n_train in (5, 12, 200):
        run_explain(ExplainJob(Path("run"), n_train=n_train), QUIET)
    assert [context.train for context in contexts] == [None] * 3


@pytest.mark.parametrize(
    ("job", "says"),
    [
        ({"policies": ("worst-9",)}, "--policy worst-9: not a policy that this run measured"),
        ({"policies": ("worst-static-5.5",)}, "--policy worst-static-5.5: not a policy that"),
        ({"policies": ("weights-only",)}, "it has uniform-5, uniform-8, co-trained-5.5"),
        ({"questions": ("taste",)}, "--only taste: not known"),
    ],
)
def test_what_is_not_in_the_run_is_refused(run: Path, job: dict[str, Any], says: str) -> None:
    before = (run / "record.json").read_bytes()
    with pytest.raises(InputError, match=says):
        run_explain(ExplainJob(run, **job), QUIET)
    assert (run / "record.json").read_bytes() == before


def without_settings(run: Path) -> None:
    config = json.loads((run / "config.json").read_text())
    del config["settings"]
    (run / "config.json").write_text(json.dumps(config))


def other_scheme(run: Path) -> None:
    config = json.loads((run / "config.json").read_text())
    config["settings"]["scheme"] = "paper"
    (run / "config.json").write_text(json.dumps(config))


def settings_of_1x(run: Path) -> None:
    config = json.loads((run / "config.json").read_text())
    config["settings"]["effort"] = {"rounds": config["settings"].pop("rounds")}
    (run / "config.json").write_text(json.dumps(config))


def odd_limit(run: Path) -> None:
    config = json.loads((run / "config.json").read_text())
    (run / "config.json").write_text(json.dumps(config | {"limit": "x"}))


def odd_threads(run: Path) -> None:
    config = json.loads((run / "config.json").read_text())
    (run / "config.json").write_text(json.dumps(config | {"threads": "x"}))


def other_data(run: Path) -> None:
    record = read_record(run, KINDS)
    provenance = record.provenance.model_copy(update={"data_sha256": "0" * 64})
    write_record(changed(record, provenance=provenance), run)


def other_answers(run: Path) -> None:
    config = json.loads((run / "config.json").read_text())
    (run / "config.json").write_text(json.dumps(config | {"model": "base-digits"}))
    record = read_record(run, KINDS)
    from bitcliff.adapters import load_model

    other = {"weights_sha256": load_model("base-digits").weights_sha256}
    provenance = record.provenance.model_copy(update=other)
    write_record(changed(record, provenance=provenance), run)


@pytest.mark.parametrize(
    ("harm", "says"),
    [
        (lambda run: (run / "config.json").unlink(), "config.json: cannot be read: No such file"),
        (lambda run: (run / "config.json").write_text('{"model"'), "config.json: not a run's"),
        (lambda run: (run / "config.json").write_text("[]"), "config.json: not a run's"),
        (without_settings, "config.json: not the configuration of an assessment"),
        (settings_of_1x, "config.json: not the configuration of an assessment, or of an older"),
        (odd_threads, "config.json: not the configuration of an assessment"),
        (odd_limit, "config.json: not the configuration of an assessment"),
        (other_scheme, "config.json: not the settings of the run's record"),
        (lambda run: (run / "config.json").write_text("[" * 200_000), "not a run's"),
        (lambda run: (run / "partial.jsonl").write_text("{}"), "its last run was interrupted"),
        (lambda run: (run / "record.json").write_text("{"), "not a whole JSON file"),
        (other_data, "the data of brittle-digits on digits changed since the run; assess again"),
        (other_answers, "base-digits answers otherwise in float than in the run"),
    ],
)
def test_a_run_that_is_not_whole_or_not_the_same_is_refused(
    run: Path, harm: Callable[[Path], object], says: str
) -> None:
    harm(run)
    with pytest.raises(InputError, match=says):
        run_explain(ExplainJob(run, n_train=0), QUIET)


def test_after_a_kill_it_goes_on_with_the_question_that_was_asked(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    real = dict(QUESTIONS)
    assert len(real) >= 2

    def counted(name: str, interrupt: bool) -> Callable[[Context], Part]:
        def ask(context: Context) -> Part:
            if interrupt:
                raise KeyboardInterrupt
            asked.append(name)
            return real[name](context)

        return ask

    first, second = list(real)[:2]
    only = (first, second)
    cut = {first: counted(first, False), second: counted(second, True)}
    monkeypatch.setattr(explain_job, "QUESTIONS", cut)
    with pytest.raises(KeyboardInterrupt):
        run_explain(ExplainJob(run, ("uniform-5",), only, 0), QUIET)
    bare = read_record(run, KINDS)
    assert (bare.explained, [*bare.answers]) == (None, ["least_widths"])
    # As `assess --explain` does when it is given again: the same numbers, measured later.
    later = bare.provenance.model_copy(update={"started": "later", "finished": "still later"})
    write_record(changed(bare, provenance=later), run)
    monkeypatch.setattr(explain_job, "QUESTIONS", cut | {second: counted(second, False)})
    record = run_explain(ExplainJob(run, ("uniform-5",), only, 0), QUIET)
    assert asked == [first, second]
    # Asked alone, a question leaves the other answers as they are.
    again = run_explain(ExplainJob(run, ("uniform-5",), (second,), 0), QUIET)
    assert asked == [first, second, second]
    assert again == record
    assert not list(run.glob("*partial*"))


def test_answers_that_could_not_stand_beside_new_ones_are_not_lost(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # They take long to measure, and are the same of every policy.
    real, measured = QUESTIONS["indicators"], list[Part]()

    def once(context: Context) -> Part:
        if not measured:
            measured.append(real(context))
        return measured[0]

    monkeypatch.setattr(explain_job, "QUESTIONS", {**QUESTIONS, "indicators": once})
    even = ("uniform-5",)
    run_explain(ExplainJob(run, even, ("inputs", "indicators"), n_train=10), QUIET)
    before = (run / "record.json").read_bytes()
    with pytest.raises(InputError, match="its answers to indicators are about uniform-5, and"):
        run_explain(ExplainJob(run, ("uniform-8",), ("inputs",), n_train=10), QUIET)
    with pytest.raises(
        InputError, match="inputs, indicators are about 10 training examples, not 12"
    ):
        run_explain(ExplainJob(run, even, ("layers",), n_train=12), QUIET)
    assert (run / "record.json").read_bytes() == before
    # No training example is asked about.
    record = run_explain(ExplainJob(run, even, ("activations",), n_train=12), QUIET)
    assert record.answers.keys() == {"least_widths", "activations", "inputs", "indicators"}
    assert explained_in(record).n_train == 10
    # All that is there is asked anew.
    everything = ("activations", "inputs", "indicators")
    record = run_explain(ExplainJob(run, ("uniform-8",), everything, n_train=12), QUIET)
    assert explained_in(record).policies == ["uniform-8"]
    assert explained_in(record).n_train == 12


def test_the_report_tells_the_commands_that_gave_its_answers(run: Path) -> None:
    def commands(question: str, command: str) -> list[str]:
        job = ExplainJob(run, ("uniform-5",), (question,), 0, command=command)
        return explained_in(run_explain(job, QUIET)).commands

    assert commands("inputs", "first") == ["first"]
    # Nothing is left of the first.
    assert commands("inputs", "second") == ["second"]
    assert commands("activations", "third") == ["second", "third"]
    assert commands("inputs", "second") == ["third", "second"]
    page = (run / "report.html").read_text()
    places = [page.index(f">{command}<") for command in ("bitcliff", "third", "second")]
    assert places == sorted(places)


def test_on_the_training_split_the_worst_case_is_looked_for_as_hard(
    run: Path, contexts: list[Context]
) -> None:
    """What random draws flip is flipped: the search must not do worse than chance."""
    run_explain(ExplainJob(run, ("worst-5.5",), n_train=40), QUIET)
    train = contexts[0].train
    assert train is not None
    worst = train.evaluator.scores(train.everyone, train.allocations["worst-5.5"]).predictions
    schedule = Schedule(train.prepared)
    schedule.measure_only(("random-5.5",), QUIET.progress)
    draws = schedule.done["random-5.5"].outcomes.draws
    assert draws is not None
    target = np.array(train.prepared.targets)
    flipped = (draws != target).any(0)
    assert flipped.any()
    assert (worst.numpy()[flipped] != target[flipped]).all()


def test_a_policy_named_twice_is_explained_once(run: Path, contexts: list[Context]) -> None:
    run_explain(ExplainJob(run, ("uniform-5", "uniform-5"), n_train=0), QUIET)
    assert contexts[0].policies == ("uniform-5",)


def test_the_record_is_read_while_the_folder_is_held(
    run: Path, contexts: list[Context], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that ends just before the folder is taken must not be explained as it was before."""
    later: list[Record] = []
    real = held

    def late(folder: Path) -> AbstractContextManager[None]:
        record = read_record(folder, KINDS)
        provenance = record.provenance.model_copy(update={"finished": "later"})
        later.append(changed(record, provenance=provenance))
        write_record(later[0], folder)
        return real(folder)

    monkeypatch.setattr(explain_job, "held", late)
    run_explain(ExplainJob(run, n_train=0), QUIET)
    assert contexts[0].record == later[0]


def test_answers_of_another_version_are_not_taken_up(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    only = ("activations", "inputs")

    def interrupted(context: Context) -> Part:
        raise KeyboardInterrupt

    def counted(context: Context) -> Part:
        asked.append("activations")
        return QUESTIONS["activations"](context)

    for version in ("1", "2", "2"):
        questions = {**QUESTIONS, "activations": counted, "inputs": interrupted}
        monkeypatch.setattr(explain_job, "QUESTIONS", questions)
        monkeypatch.setattr(explain_job, "__version__", version)
        with pytest.raises(KeyboardInterrupt):
            run_explain(ExplainJob(run, ("uniform-5",), only, 0), QUIET)
    assert len(asked) == 2


def test_a_run_with_nothing_to_explain_is_refused(run: Path) -> None:
    bare = with_conditions(read_record(run, KINDS), lambda one: one.kind == "weights-only")
    write_record(bare, run)
    with pytest.raises(InputError, match="no worst case, trained or even policy to explain"):
        run_explain(ExplainJob(run, n_train=0), QUIET)
