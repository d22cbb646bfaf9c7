"""Text classifiers as a user types them: from a Hugging Face folder, and from ONNX files."""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest

from bitcliff.adapters import load_examples, load_model
from bitcliff.cli.main import run
from bitcliff.questions.kinds import KINDS
from bitcliff.questions.lengths.record import Lengths
from bitcliff.questions.verification.record import Verification, VerificationObserved
from bitcliff.record import read_record
from tests.text_classifiers import TESTING, export, save_texts, save_tokenizer, tokens, trained

N = 20
QUICK = (
    f"--examples {N} --uniform 8 --budget 5 --rounds 1 --exchanges 0 --evaluations 0 --draws 1 "
    "--threads 1"
)
FEW = "--examples 8 --batch 4 --draws 2 --candidates 4 --effort 2 --threads 1"

Furnish = Callable[[str, bool], Path]
Typed = Callable[[Path, str], tuple[int, str, str]]


@pytest.fixture(scope="module")
def furnish(tmp_path_factory: pytest.TempPathFactory) -> Furnish:
    """A folder with a network of a kind, `hf` and `net.onnx`, and data for both."""

    @cache
    def make(kind: str, dynamo: bool) -> Path:
        folder = tmp_path_factory.mktemp(kind)
        tokenizer = save_tokenizer(folder / "hf")
        model = trained(kind, tokenizer)
        model.save_pretrained(folder / "hf")
        save_texts(folder / "texts", N)
        inputs, labels = tokens(model, tokenizer, slice(TESTING.start, None, 8))
        export(model, inputs, folder / "net.onnx", dynamo, any_length=kind == "DistilBert")
        arrays: dict[str, Any] = {name: values.numpy() for name, values in inputs.items()}
        np.savez(folder / "arrays.npz", y=labels.numpy(), **arrays)
        np.savez(folder / "few.npz", y=labels.numpy(), input_ids=arrays["input_ids"])
        return folder

    return make


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Typed:
    """Runs a command in a folder, in this process, which has transformers loaded already."""

    def run_line(folder: Path, line: str) -> tuple[int, str, str]:
        monkeypatch.chdir(folder)
        capsys.readouterr()
        code = run(line.split())
        return (code, *capsys.readouterr())

    return run_line


def check_verified(folder: Path, policies: int) -> None:
    """All decisions, and all roundings to the bit."""
    record = read_record(folder, KINDS)
    figures = record.answer("verification", Verification)
    observed = record.observed_by("verification", VerificationObserved)
    assert figures is not None
    assert observed is not None
    assert len(figures.policies) == policies
    for one, seen in zip(figures.policies, observed.policies, strict=True):
        assert one.decisions.k == one.decisions.n > 0
        assert all(point.rounded_alike == point.values > 0 for point in seen.points)


def test_an_onnx_file_with_several_inputs(furnish: Furnish, typed: Typed) -> None:
    folder = furnish("DistilBert", False)
    line = f"assess net.onnx --data arrays.npz --runtime ort-dynamic {QUICK} --out run"
    code, _, told = typed(folder, line)
    assert code != 2, told
    assert f"ONNX Runtime gives the same answers on {N} examples" in told
    record = read_record(folder / "run", KINDS)
    assert [point.kind for point in record.subject.points].count("matmul") == 4
    assert record.coverage.complete
    assert {"ort-dynamic", "ort-dynamic-batch"} <= {policy.name for policy in record.policies}
    line = "explain run --only lengths --policy uniform-8 --policy ort-dynamic --lengths 24,32"
    code, _, told = typed(folder, line)
    assert code == 0, told
    lengths = read_record(folder / "run", KINDS).answer("lengths", Lengths)
    assert lengths is not None
    assert lengths.refused == []
    assert lengths.shortest < 24 < lengths.longest == 32
    assert [(one.length, one.beside_longer) for one in lengths.at] == [
        (24, False),
        (32, False),
        (32, True),
    ]
    for one in lengths.at:
        assert list(one.decided) == ["float", "uniform-8", "ort-dynamic"]
    assert record.float_.accuracy is not None
    # Of four classes. The tokenizer's order differs from run to run, and with it the training.
    assert record.float_.accuracy.k > N / 4
    code, _, told = typed(folder, "verify run --policy uniform-8")
    assert code == 0, told
    check_verified(folder / "run", 1)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ("few.npz", "few.npz: has no array attention_mask (it has y, input_ids)"),
        ("digits", "net.onnx: takes input_ids, attention_mask, each by its name"),
    ],
)
def test_data_that_is_not_what_the_file_takes(
    furnish: Furnish, typed: Typed, data: str, says: str
) -> None:
    code, _, told = typed(furnish("DistilBert", False), f"assess net.onnx --data {data} --out no")
    assert code == 2
    assert told.strip().splitlines()[-1] == f"bitcliff: error: {says}"


@pytest.mark.slow
@pytest.mark.parametrize("dynamo", [False, True])
@pytest.mark.parametrize("kind", ["Bert", "DistilBert", "Roberta"])
def test_what_both_exporters_write(furnish: Furnish, typed: Typed, kind: str, dynamo: bool) -> None:
    folder = furnish(kind, dynamo)
    what = "assess net.onnx --data arrays.npz --runtime ort-dynamic"
    assert typed(folder, f"{what} {QUICK} --out open")[0] != 2
    code, _, told = typed(folder, "verify open")
    assert code == 0, told
    check_verified(folder / "open", 6)
    line = f"{what} --black-box --examples {N} --threads 1 --out box"
    code, _, told = typed(folder, line)
    assert code != 2, told
    seen, unseen = (read_record(folder / name, KINDS) for name in ("open", "box"))
    for one, other in zip(seen.examples, unseen.examples, strict=True):
        assert one.outcomes["ort-dynamic"] == other.outcomes["ort-dynamic"]
    code, _, told = typed(folder, f"isolate net.onnx --data arrays.npz {FEW} --out mates")
    assert code in (1, 3), told


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["Bert", "DistilBert"])
def test_a_hugging_face_folder_from_assessment_to_export(
    furnish: Furnish, typed: Typed, kind: str
) -> None:
    folder = furnish(kind, False)
    names = ("ort-dynamic", "torch-dynamic", "torchao-dynamic", "openvino")
    runtimes = " ".join(f"--runtime {name}" for name in names)
    code, _, told = typed(folder, f"assess hf:hf --data hf:texts {runtimes} {QUICK} --out whole")
    assert code != 2, told
    record = read_record(folder / "whole", KINDS)
    assert {*names, *(f"{name}-batch" for name in names)} < {p.name for p in record.policies}
    assert typed(folder, "verify whole")[0] == 0
    check_verified(folder / "whole", 6)
    assert typed(folder, "export whole --policy uniform-8")[0] == 0
    session = ort.InferenceSession(folder / "whole" / "uniform-8.onnx")
    subject = load_model(f"hf:{folder / 'hf'}")
    inputs = load_examples(f"hf:{folder / 'texts'}", subject=subject, limit=N, seed=0).inputs
    assert isinstance(inputs, dict)
    fed = {given.name: inputs[given.name].numpy() for given in session.get_inputs()}
    (scores,) = session.run(["scores"], fed)
    decided = [row.outcomes["uniform-8"].prediction for row in record.examples]
    assert scores.argmax(1).tolist() == decided
    code, told, _ = typed(folder, f"isolate hf:hf --data hf:texts {FEW} --out whole-mates")
    assert code in (1, 3)
    assert "bits changed in 0.0 %" in told
