"""What is followed on real networks, and groups held against the rounding itself."""

from typing import Any

import pytest
import torch
from torch import Tensor

from bitcliff.adapters import load_examples, load_model
from bitcliff.adapters.assembly import make_subject
from bitcliff.audit.compose import subject_info
from bitcliff.points import Selection, discover
from bitcliff.points.layout import Layout
from bitcliff.points.owners import Owners
from bitcliff.points.plan import AtPoint, Plan, Point
from bitcliff.quant import round_shipped
from bitcliff.questions.isolation.proof import _groups_seen, _rows, condition_of, proof_of
from bitcliff.questions.isolation.proof_statistics import proof_figures, proof_problems
from bitcliff.questions.isolation.record import Proof, ProofFigures
from bitcliff.types.numerics import Numerics
from bitcliff.types.presets import PRESETS, Format, preset
from bitcliff.types.subject import AllInputs, Examples, Subject, Texts
from tests.text_classifiers import TESTING, save_tokenizer, tokens, trained

BATCH, TOKENS, WIDTH = 3, 4, 32
INT8 = Numerics(element="int8", group="example", scale="amax", divisor=127)
GROUPS = {
    **{name: one.activations for name, one in PRESETS.items() if one.activations is not None},
    "example": INT8,
    "channel": INT8.model_copy(update={"group": "channel"}),
}


def judged(
    subject: Subject, inputs: AllInputs, shipped: Format, batch: int = 3
) -> tuple[Proof, ProofFigures]:
    plan = discover(subject.module, inputs, Selection(include_stem=True))
    proof = proof_of(subject, inputs, condition_of("asked", shipped, plan), batch)
    examples = Examples("data", inputs, None, ("a",), n_available=1, sha256="0" * 64)
    told = subject_info(subject, examples, plan, (), 10)
    assert not [*proof_problems(proof, told, batch)]
    return proof, proof_figures(proof, told)


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> tuple[Subject, Texts]:
    """A BERT of one layer, and paragraphs of many lengths."""
    tokenizer = save_tokenizer(tmp_path_factory.mktemp("bert"))
    model: Any = trained("Bert", tokenizer, steps=2)
    given, _ = tokens(model, tokenizer, TESTING)
    short = {name: values[:6].clone() for name, values in given.items()}
    for row, length in enumerate((6, 9, 12, 15, 20, 30)):
        short["attention_mask"][row, length:] = 0
    return make_subject("bert", model, None, None), Texts(short)


@pytest.mark.parametrize("name", ["vllm-int8-token", "mxfp8-rceil"])
def test_tokens_and_blocks_of_texts_are_isolated_padded_or_not(
    classifier: tuple[Subject, Texts], name: str
) -> None:
    proof, found = judged(*classifier, preset(name))
    assert found.proved
    assert found.reasons == []
    assert [(one.batch, one.padded) for one in proof.passes] == [
        (2, False), (2, True), (3, False), (3, True)
    ]  # fmt: skip
    assert all(len(set(one.spans)) == 1 for one in proof.points)
    # transformers asks whether any text is padded, and leaves the mask out where none is.
    assert proof.reads_mask
    assert len(proof.points) == 8
    assert proof.in_float


def test_padding_enters_a_scale_of_the_whole_example(classifier: tuple[Subject, Texts]) -> None:
    proof, found = judged(*classifier, Format(activations=INT8))
    assert (found.proved, found.crossing, found.mixed) == (False, [], [])
    # The pooler and the classifier see one token alone.
    assert found.padding == [one.name for one in proof.points][:6]
    assert found.reasons[0].startswith("padding enters a group at 6 of 8 points, first ")


def test_one_scale_for_a_batch_crosses_at_every_point(classifier: tuple[Subject, Texts]) -> None:
    proof, found = judged(*classifier, preset("ort-uint8"))
    assert found.crossing == [one.name for one in proof.points]
    assert found.examples == 3


def test_every_convolution_of_a_shipped_network_is_followed() -> None:
    subject = load_model("base-digits")
    inputs = load_examples("digits", subject=subject, limit=4).inputs
    shipped = Format(activations=INT8, everywhere=True)
    proof, found = judged(subject, inputs, shipped)
    assert found.proved
    assert (len(proof.points), proof.in_float, proof.unknown) == (21, [], [])


def test_what_rounds_weights_alone_shares_nothing() -> None:
    subject = load_model("base-digits")
    inputs = load_examples("digits", subject=subject, limit=4).inputs
    proof, found = judged(subject, inputs, Format(weights=INT8))
    assert found.proved
    assert (proof.points, proof.group) == ([], "nothing: weights alone are rounded")


@pytest.mark.parametrize("name", GROUPS)
@pytest.mark.parametrize("role", ["input", "rhs"])
def test_groups_cross_examples_where_rounding_one_changes_another(name: str, role: str) -> None:
    numerics = GROUPS[name]
    assert numerics is not None
    point = Point("point", "matmul", "point", role, Layout(0), (TOKENS, WIDTH), 0)
    place = torch.arange(BATCH, dtype=torch.float32)[:, None, None]
    ends = [end.expand(BATCH, WIDTH, WIDTH) for end in (BATCH - place, place + 1)]
    at = AtPoint(numerics, role)
    low, high = (_rows(end, point, at, BATCH) for end in ends)
    seen = _groups_seen(Owners(BATCH), low, high)
    x = torch.randn(BATCH, WIDTH, WIDTH, generator=torch.Generator().manual_seed(0))
    changed = not torch.equal(
        _rounded(x, numerics, role), _rounded_beside_a_giant(x, numerics, role)
    )
    assert bool(seen.crossing) == changed
    assert seen.examples == (BATCH if changed else 1)
    assert not seen.mixed


def _rounded(x: Tensor, numerics: Numerics, role: str) -> Tensor:
    """The first two examples, as an attachment rounds."""
    rows = (
        x.transpose(1, 2) if role == "rhs" and numerics.group not in ("example", "channel") else x
    )
    return round_shipped(rows, numerics)[:2]


def _rounded_beside_a_giant(x: Tensor, numerics: Numerics, role: str) -> Tensor:
    return _rounded(torch.cat([x[:2], 1000 * x[2:]]), numerics, role)


def test_a_point_that_is_not_reached_is_told() -> None:
    subject = load_model("base-digits")
    inputs = load_examples("digits", subject=subject, limit=4).inputs
    plan = discover(subject.module, inputs, Selection(include_stem=True))
    ghost = Point("ghost", "linear", "ghost", "input", Layout(0), (4,), 0)
    more = Plan((*plan.seen, ghost), {**plan.weights, "ghost": ("weight",)}, (), plan.where)
    proof = proof_of(subject, inputs, condition_of("asked", preset("vllm-int8-token"), more), 2)
    examples = Examples("data", inputs, None, ("a",), n_available=1, sha256="0" * 64)
    found = proof_figures(proof, subject_info(subject, examples, more, (), 10))
    assert found.reasons == ["not reached in every pass: 1 of 2 points, first ghost"]
