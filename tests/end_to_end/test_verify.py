"""`bitcliff export` and `bitcliff verify` as a user types them, on the planted case."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime as ort
import pytest
import torch
from playwright.sync_api import Browser

from bitcliff.adapters import load_examples, load_model
from bitcliff.questions.kinds import KINDS
from bitcliff.questions.verification.record import KEY, Verification, VerificationObserved
from bitcliff.record import Record, read_record, record_of, write_record
from tests.browser import Visit, contrast, inks
from tests.end_to_end.commands import bitcliff

QUICK = [
    "--budget",
    "5.5",
    "--rounds",
    "1",
    "--exchanges",
    "2",
    "--evaluations",
    "0",
    "--draws",
    "2",
]
N = 24


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A verified run."""
    folder = tmp_path_factory.mktemp("verify")
    done = bitcliff(
        folder, "assess", "brittle-digits", "--examples", str(N), "--uniform", "5,8", *QUICK,
        "--out", "run",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    done = bitcliff(folder, "verify", "run")
    assert done.returncode == 0, done.stderr
    (folder / "verify.txt").write_text(done.stdout)
    return folder


@pytest.fixture(scope="module")
def small(workplace: Path, finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of a perceptron, whose files are written in a fifth of the time."""
    folder = tmp_path_factory.mktemp("small") / "workplace"
    return Path(shutil.copytree(workplace, folder))


def verification(record: Record) -> tuple[VerificationObserved, Verification]:
    observed, figures = (
        record.observed_by(KEY, VerificationObserved),
        record.answer(KEY, Verification),
    )
    assert observed is not None
    assert figures is not None
    return observed, figures


def test_every_policy_with_bits_is_decided_alike_and_rounded_to_the_bit(folder: Path) -> None:
    record = read_record(folder / "run", KINDS)
    observed, figures = verification(record)
    spending = [policy.name for policy in record.policies if policy.mean_bits is not None]
    assert [one.policy for one in figures.policies] == spending
    for one, seen in zip(figures.policies, observed.policies, strict=True):
        assert one.decisions.k == one.decisions.n > 0
        assert seen.compared == one.decisions.n
        for point in seen.points:
            assert point.rounded_alike == point.values > 0
            assert point.same_level / point.values > 0.9
    (own,) = [one for one in figures.policies if record.by_name[one.policy].kind == "co-trained"]
    assert own.allocations is not None
    assert own.allocations.k == N


def test_the_table_and_the_page_say_so(folder: Path) -> None:
    printed = (folder / "verify.txt").read_text()
    assert re.search(r"worst-5\.5 +24/24", printed)
    page = (folder / "run" / "report.html").read_text()
    assert "Is what was simulated what runs?" in page


@pytest.mark.parametrize(("width", "scheme"), [(390, "light"), (1280, "dark")])
def test_the_page_fits_and_can_be_read(
    folder: Path, browser: Browser, width: int, scheme: str
) -> None:
    with Visit(browser, folder / "run" / "report.html", width, scheme) as page:
        assert page.evaluate("document.documentElement.scrollWidth") == width
        for ink, ground, where in inks(page):
            assert contrast(ink, ground) >= 4.5, (ink, ground, where)


def test_a_decision_that_is_not_as_recorded_is_told(small: Path) -> None:
    run = Path(shutil.copytree(small / "finished", small / "changed"))
    name, record = "worst-3", read_record(run, KINDS)
    # From one wrong class to another: the margin's sign stays.
    place, row = next(
        (place, row)
        for place, row in enumerate(record.examples)
        if row.outcomes[name].prediction not in (row.label, row.float_prediction)
    )
    known = {row.label, row.float_prediction, row.outcomes[name].prediction}
    conditions = []
    for one in record.observed.conditions:
        if one.name == name:
            prediction = one.outcomes.prediction.copy()
            prediction[place] = min(set(range(10)) - known)
            outcomes = one.outcomes.model_copy(update={"prediction": prediction})
            one = one.model_copy(update={"outcomes": outcomes})
        conditions.append(one)
    write_record(record_of(record.observed.model_copy(update={"conditions": conditions})), run)
    done = bitcliff(small, "verify", "changed", "--policy", name)
    assert done.returncode == 1, done.stderr
    n = len(record.examples)
    assert f"{n - 1}/{n}" in done.stdout
    _, figures = verification(read_record(run, KINDS))
    assert [one.id for one in figures.policies[0].differing] == [row.id]


@pytest.mark.parametrize(
    ("policy", "inputs"), [("uniform-8", ["input"]), ("worst-3", ["input", "bits"])]
)
def test_a_file_runs_elsewhere_and_says_what_it_is(
    small: Path, policy: str, inputs: list[str]
) -> None:
    with np.load(small / "digits.npz") as data:
        images = data["x"]
    check_file(small, "finished", policy, inputs, images)


@pytest.mark.slow
def test_a_file_with_a_co_trained_policy_runs_elsewhere(folder: Path) -> None:
    subject = load_model("brittle-digits")
    images = load_examples("digits", subject=subject, limit=N, seed=0).inputs
    assert isinstance(images, torch.Tensor)
    check_file(folder, "run", "co-trained-5.5", ["input"], images.numpy())


def check_file(
    folder: Path, run: str, policy: str, inputs: list[str], images: npt.NDArray[np.float32]
) -> None:
    done = bitcliff(folder, "export", run, "--policy", policy)
    assert done.returncode == 0, done.stderr
    file = folder / run / f"{policy}.onnx"
    assert done.stdout == f"Written: {run}/{policy}.onnx\n"
    record = read_record(folder / run, KINDS)
    about = {one.key: one.value for one in onnx.load(file).metadata_props}
    assert about["policy"] == policy
    assert about["weights_sha256"] == record.provenance.weights_sha256
    names = [point.name for point in record.subject.points if point.quantized]
    assert json.loads(about["points"]) == names
    session = ort.InferenceSession(file, providers=["CPUExecutionProvider"])
    assert [given.name for given in session.get_inputs()] == inputs
    outcomes = [row.outcomes[policy] for row in record.examples]
    fed = {"input": images, "bits": np.array([outcome.bits for outcome in outcomes])}
    scores = session.run(["scores"], {name: fed[name] for name in inputs})[0]
    assert scores.argmax(1).tolist() == [outcome.prediction for outcome in outcomes]


def test_a_plan_keeps_its_points_in_float_and_its_floors(small: Path) -> None:
    record = read_record(small / "finished", KINDS)
    names = [point.name for point in record.subject.points if point.quantized]
    plan = f"model: py:mynet:DigitsMLP\nfloat_points: [{names[0]}]\nfloors: {{{names[1]}: 5}}\n"
    (small / "plan.yaml").write_text(plan)
    done = bitcliff(
        small, "export", "finished", "--plan", "plan.yaml", "--policy", "uniform-4",
        "--out", "p.onnx",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    about = {one.key: one.value for one in onnx.load(small / "p.onnx").metadata_props}
    assert json.loads(about["points"]) == names[1:]
    assert json.loads(about["bits"]) == [5, *[4] * (len(names) - 2)]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["verify", "nowhere"], "nowhere: no such folder"),
        (
            ["verify", "finished", "--policy", "weights-only"],
            "--policy weights-only: not a policy of",
        ),
        (
            ["export", "finished", "--policy", "worst-9"],
            "--policy worst-9: not a policy of this run",
        ),
        (["export", "finished", "--plan", "even.yaml", "--policy", "worst-3"], "give uniform-B"),
        (["export", "finished", "--plan", "none.yaml"], "none.yaml"),
        (["export", "finished", "--out", "no/where.onnx"], "no/where.onnx: cannot be written"),
    ],
)
def test_bad_input_is_one_line(small: Path, arguments: list[str], says: str) -> None:
    (small / "even.yaml").write_text("model: py:mynet:DigitsMLP\n")
    done = bitcliff(small, *arguments)
    assert done.returncode == 2
    assert says in done.stderr.strip().splitlines()[-1]
    assert "Traceback" not in done.stderr
