from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch

from bitcliff.adapters.corruptions import picture_corruptions
from bitcliff.assess.explain.corrupting import corrupted, picture_scale
from bitcliff.assess.explain.corruptions import explain_corruptions
from bitcliff.assess.quantized import quantized
from bitcliff.errors import MissingExtra
from bitcliff.policy import Uniform
from bitcliff.records.explanation_corruptions import CorruptionCell, Corruptions
from bitcliff.stats import clustered_rate, holm, mcnemar
from bitcliff.types.corruption import Corruption
from bitcliff.types.settings import DEGREES, CorruptionSettings
from tests.assess.explain.dazzling import (
    GLARE,
    SPOT,
    Dazzled,
    Distracted,
    context_of,
    some_pictures,
)
from tests.contract.subjects import SETTINGS as TOKEN_SETTINGS
from tests.contract.subjects import Tokens
from tests.small_networks import chain


def both() -> Sequence[Corruption]:
    return (GLARE, SPOT)


def cell(found: Corruptions, name: str, degree: int) -> CorruptionCell:
    return next(c for c in found.cells if (c.corruption, c.degree) == (name, degree))


@pytest.fixture(scope="module")
def planted() -> Corruptions:
    return explain_corruptions(context_of(Dazzled(), *some_pictures()), both)


def test_quantization_is_hurt_by_the_planted_corruption_alone(planted: Corruptions) -> None:
    for one in planted.cells:
        hurt = one.corruption == "glare" and one.degree > 1
        against = one.losses["uniform-4"].against_clean
        assert against is not None
        assert one.answers["float"].accuracy.value == 1.0
        assert (against.only_corrupted, against.only_clean) == ((30, 0) if hurt else (0, 0))
        assert (against.p_value_holm < 1e-6) == hurt
        assert (against.low_pp > 0) == hurt
        assert one.losses["uniform-4"].lost.value == (0.5 if hurt else 0.0)
        assert one.losses["uniform-8"].lost.k == 0


def test_it_says_what_was_done(planted: Corruptions) -> None:
    assert planted.reason is None
    assert len(planted.examples) == 60
    assert planted.seeds == [0, 1, 2]
    assert planted.degrees == [1, 2, 3, 4, 5]
    assert planted.bits == dict.fromkeys(("uniform-4", "uniform-8"), "the same for every picture")
    assert "from 0 to 1" in planted.pictures
    names = [one.name for one in planted.corruptions]
    assert names == ["glare", "spot", "normalisation shift"]
    assert [(c.corruption, c.degree) for c in planted.cells] == [
        (name, degree) for name in names for degree in DEGREES
    ]


def test_a_policy_that_looks_sees_the_corrupted_picture() -> None:
    policies = ("co-trained-6", "worst-6", "random-6")
    context = context_of(Dazzled(), *some_pictures(), policies, own=Distracted())
    found = explain_corruptions(context, both)
    glare = cell(found, "glare", 5)
    assert glare.losses["co-trained-6"].lost.value == 0.5
    assert cell(found, "spot", 5).losses["co-trained-6"].lost.value == 0.0
    assert "chooses anew" in found.bits["co-trained-6"]
    # The others keep the bits they spent on the clean picture: 4 at the first point blind.
    for name in ("worst-6", "random-6"):
        blind = context.test.allocations[name][:, 0] == 4
        class_0 = torch.arange(60) % 2 == 0
        assert glare.losses[name].lost.k == 3 * int((blind & class_0).sum())
    assert "not looked for anew" in found.bits["worst-6"]
    assert glare.losses["worst-6"].against_clean is None
    assert glare.losses["random-6"].against_clean is not None


def test_answers_are_those_of_the_network_itself() -> None:
    x = torch.rand(12, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    x[0, 0, 0, 0], x[0, 0, 0, 1] = 0.0, 1.0
    labels = (x[:, 0, 1, 1] < 0.5).long()
    settings = CorruptionSettings(degrees=(2, 4), seeds=2)
    context = context_of(Dazzled(), x, labels, corrupting=settings)
    found = explain_corruptions(context, picture_corruptions)
    scale, audit = picture_scale(x, None), context.test.audit
    for corruption in picture_corruptions():
        for degree in settings.degrees:
            answers = cell(found, corruption.name, degree).answers
            for row, seed in enumerate(found.seeds):
                for place, name in enumerate(found.examples):
                    one = corrupted(x[place], scale, corruption, degree, seed, name)[None]
                    in_float = audit.subject.module(one).argmax().item()
                    with quantized(
                        audit.subject.module, Uniform(2, 4), audit.plan, weight_bits=None
                    ):
                        coarse = audit.subject.module(one).argmax().item()
                    right = [str(int(y == labels[place])) for y in (in_float, coarse)]
                    assert answers["float"].marks[row][place] == right[0]
                    assert answers["uniform-4"].marks[row][place] == right[1]


def test_other_examples_and_their_order_change_nothing() -> None:
    x = torch.rand(16, 3, 9, 7, generator=torch.Generator().manual_seed(1))
    model = chain(0, points=2, inputs=3, width=6)
    network = torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), model)
    labels = torch.arange(16) % 3
    settings = CorruptionSettings(degrees=(3,), seeds=2)
    x[3, 0, 0, 0], x[3, 0, 0, 1] = 0.0, 1.0  # the ends of the range stay among those kept
    ids = tuple(f"name {place}" for place in range(16))

    def marks(keep: list[int]) -> dict[tuple[str, str, int, str], str]:
        context = context_of(
            network,
            x[keep],
            labels[keep],
            ids=tuple(ids[place] for place in keep),
            corrupting=settings,
        )
        found = explain_corruptions(context, picture_corruptions)
        return {
            (one.corruption, who, seed, name): answers.marks[seed][place]
            for one in found.cells
            if one.corruption != "normalisation shift"  # by the mean of the data, others included
            for who, answers in one.answers.items()
            for seed in range(2)
            for place, name in enumerate(found.examples)
        }

    everyone, some = marks(list(range(16))), marks([9, 3, 14, 0, 7])
    assert some == {key: everyone[key] for key in some}
    assert len(some) == 8 * 3 * 2 * 5
    assert len(set(some.values())) == 2


def test_every_number_follows_from_the_marks(planted: Corruptions) -> None:
    tested = []
    assert planted.clean is not None
    for one in planted.cells:
        for name, loss in one.losses.items():
            floats, marks = one.answers["float"].marks, one.answers[name].marks
            pairs = [
                list(zip(f, q, strict=True))
                for f, q in zip(zip(*floats, strict=True), zip(*marks, strict=True), strict=True)
            ]
            assert loss.lost == clustered_rate(
                [mine.count(("1", "0")) for mine in pairs],
                [sum(f == "1" and q != "-" for f, q in mine) for mine in pairs],
            )
            assert loss.against_clean is not None
            tested.append(loss.against_clean)
    assert [one.p_value for one in tested] == [
        mcnemar(one.only_corrupted, one.only_clean) for one in tested
    ]
    assert [one.p_value_holm for one in tested] == holm([one.p_value for one in tested])


def test_numeric_failures_are_counted_apart() -> None:
    found = explain_corruptions(context_of(Dazzled(overflow=True), *some_pictures()), both)
    glare = cell(found, "glare", 5)
    assert glare.answers["float"].failed == glare.answers["uniform-4"].failed == 180
    assert glare.answers["float"].marks == ["-" * 60] * 3
    assert glare.answers["float"].accuracy.n == glare.losses["uniform-4"].lost.n == 0
    assert glare.losses["uniform-4"].against_clean is None
    assert cell(found, "spot", 5).answers["float"].failed == 0


def test_without_labels_the_clean_float_answer_is_right() -> None:
    found = explain_corruptions(context_of(Dazzled(), some_pictures()[0], None), both)
    assert found.clean is not None
    assert found.clean.answers["float"].accuracy.value == 1.0
    assert cell(found, "glare", 5).losses["uniform-4"].lost.value == 0.5


def test_only_as_many_examples_degrees_and_seeds_as_asked() -> None:
    settings = CorruptionSettings(degrees=(2,), seeds=1, examples=7)
    context = context_of(Dazzled(), *some_pictures(), corrupting=settings)
    told: list[tuple[str, int, int]] = []
    context = replace(context, tell=lambda *what: told.append(what))
    found = explain_corruptions(context, both)
    assert len(found.examples) == len(set(found.examples)) == 7
    assert set(found.examples) <= set(context.test.examples.ids)
    assert found.cells[0].answers["float"].marks == ["1" * 7]
    assert [one.strengths for one in found.corruptions] == [[0.76], [0.76], [0.2]]
    assert told == [
        ("glare, degree 2", 0, 3),
        ("spot, degree 2", 1, 3),
        ("normalisation shift, degree 2", 2, 3),
    ]


def test_a_draw_that_is_the_same_again_is_run_once() -> None:
    context = context_of(Dazzled(), *some_pictures(), policies=("uniform-4",))
    passes = []
    attachment = context.test.evaluator.attachment
    run = attachment.run
    attachment.run = lambda *how: passes.append(1) or run(*how)  # type: ignore[func-returns-value,method-assign]
    settings = CorruptionSettings(degrees=(1,), seeds=5)
    explain_corruptions(replace(context, corrupting=settings), lambda: (GLARE,))
    # Glare: 60 inputs, one batch; the shift of one channel: 4 inputs each at most. Two networks.
    assert len(passes) <= 2 * (1 + 4)


def test_what_is_not_pictures_is_not_measured() -> None:
    tokens = {
        "tokens": torch.randint(0, 11, (8, 5), generator=torch.Generator().manual_seed(0)),
        "mask": torch.ones(8, 5, dtype=torch.bool),
    }
    policies = ("uniform-4",)
    text = context_of(Tokens(), tokens, None, policies, settings=TOKEN_SETTINGS)
    rows = context_of(chain(), torch.randn(8, 4), None, policies, settings=TOKEN_SETTINGS)
    for context, reason in ((text, "several named tensors"), (rows, "an example is 4")):
        found = explain_corruptions(context, both)
        assert reason in (found.reason or "")
        assert found.cells == []


def test_a_missing_library_is_a_reason() -> None:
    def missing() -> Sequence[Corruption]:
        raise MissingExtra("corruptions needs the package torchvision")

    found = explain_corruptions(context_of(Dazzled(), *some_pictures()), missing)
    assert found.reason == "corruptions needs the package torchvision"
