from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch

from bitcliff.adapters.corruptions import image_corruptions
from bitcliff.audit.quantized import quantized
from bitcliff.errors import MissingExtra
from bitcliff.policy import Uniform
from bitcliff.questions.corrupting import corrupted
from bitcliff.questions.corruptions.observe import observe_corruptions
from bitcliff.questions.corruptions.record import CorruptionsObserved
from bitcliff.questions.image_scale import image_scale
from bitcliff.types.corruption import Corruption
from bitcliff.types.settings import DEGREES, CorruptionSettings
from tests.contract.subjects import SETTINGS as TOKEN_SETTINGS
from tests.contract.subjects import Tokens
from tests.questions.corruptions.dazzling import (
    GLARE,
    SPOT,
    Dazzled,
    Distracted,
    context_of,
    some_images,
)
from tests.small_networks import chain


def both() -> Sequence[Corruption]:
    return (GLARE, SPOT)


@pytest.fixture(scope="module")
def planted() -> CorruptionsObserved:
    return observe_corruptions(context_of(Dazzled(), *some_images()), both)


def marks_of(found: CorruptionsObserved, name: str, degree: int) -> dict[str, list[str]]:
    return next(c.marks for c in found.cells if (c.corruption, c.degree) == (name, degree))


def lost(marks: dict[str, list[str]], policy: str) -> int:
    """What float gets right and is wrong under the policy, in all draws."""
    return sum(
        pair == ("1", "0")
        for texts in zip(marks["float"], marks[policy], strict=True)
        for pair in zip(*texts, strict=True)
    )


def test_it_says_what_was_done(planted: CorruptionsObserved) -> None:
    assert planted.reason is None
    assert len(planted.examples) == 60
    assert planted.seeds == [0, 1, 2]
    assert planted.degrees == [1, 2, 3, 4, 5]
    assert planted.bits == dict.fromkeys(("uniform-4", "uniform-8"), "the same for every image")
    assert "from 0 to 1" in planted.images
    names = [one.name for one in planted.corruptions]
    assert names == ["glare", "spot", "normalisation shift"]
    assert [(c.corruption, c.degree) for c in planted.cells] == [
        (name, degree) for name in names for degree in DEGREES
    ]


def test_a_policy_that_looks_sees_the_corrupted_image() -> None:
    policies = ("co-trained-6", "worst-6", "random-6")
    context = context_of(Dazzled(), *some_images(), policies, co_trained=Distracted())
    found = observe_corruptions(context, both)
    glare = marks_of(found, "glare", 5)
    assert lost(glare, "co-trained-6") == 3 * 30
    assert lost(marks_of(found, "spot", 5), "co-trained-6") == 0
    assert "chooses anew" in found.bits["co-trained-6"]
    # The others keep the bits they spent on the clean image: 4 at the first point blind.
    for name in ("worst-6", "random-6"):
        blind = context.test.allocations[name][:, 0] == 4
        class_0 = torch.arange(60) % 2 == 0
        assert lost(glare, name) == 3 * int((blind & class_0).sum())
    assert "not looked for anew" in found.bits["worst-6"]
    assert found.bits["random-6"] == "those drawn for the clean image"


def test_predictions_are_those_of_the_network_itself() -> None:
    x = torch.rand(12, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    x[0, 0, 0, 0], x[0, 0, 0, 1] = 0.0, 1.0
    labels = (x[:, 0, 1, 1] < 0.5).long()
    settings = CorruptionSettings(degrees=(2, 4), seeds=2)
    context = context_of(Dazzled(), x, labels, corrupting=settings)
    found = observe_corruptions(context, image_corruptions)
    scale, audit = image_scale(x, None), context.test.prepared
    for corruption in image_corruptions():
        for degree in settings.degrees:
            marks = marks_of(found, corruption.name, degree)
            for row, seed in enumerate(found.seeds):
                for place, name in enumerate(found.examples):
                    one = corrupted(x[place], scale, corruption, degree, seed, name)[None]
                    in_float = audit.subject.module(one).argmax().item()
                    with quantized(
                        audit.subject.module, Uniform(2, 4), audit.points, weight_bits=None
                    ):
                        coarse = audit.subject.module(one).argmax().item()
                    right = [str(int(y == labels[place])) for y in (in_float, coarse)]
                    assert marks["float"][row][place] == right[0]
                    assert marks["uniform-4"][row][place] == right[1]


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
        found = observe_corruptions(context, image_corruptions)
        return {
            (one.corruption, who, seed, name): texts[seed][place]
            for one in found.cells
            if one.corruption != "normalisation shift"  # by the mean of the data, others included
            for who, texts in one.marks.items()
            for seed in range(2)
            for place, name in enumerate(found.examples)
        }

    everyone, some = marks(list(range(16))), marks([9, 3, 14, 0, 7])
    assert some == {key: everyone[key] for key in some}
    assert len(some) == 8 * 3 * 2 * 5
    assert len(set(some.values())) == 2


def test_only_as_many_examples_degrees_and_seeds_as_asked() -> None:
    settings = CorruptionSettings(degrees=(2,), seeds=1, examples=7)
    context = context_of(Dazzled(), *some_images(), corrupting=settings)
    told: list[tuple[str, int, int]] = []
    context = replace(context, tell=lambda *what: told.append(what))
    found = observe_corruptions(context, both)
    assert len(found.examples) == len(set(found.examples)) == 7
    assert set(found.examples) <= set(context.test.examples.ids)
    assert found.cells[0].marks["float"] == ["1" * 7]
    assert [one.strengths for one in found.corruptions] == [[0.76], [0.76], [0.2]]
    assert told == [
        ("glare, degree 2", 0, 3),
        ("spot, degree 2", 1, 3),
        ("normalisation shift, degree 2", 2, 3),
    ]


def test_a_draw_that_is_the_same_again_is_run_once() -> None:
    context = context_of(Dazzled(), *some_images(), policies=("uniform-4",))
    passes = []
    attachment = context.test.evaluator.attachment
    run = attachment.run
    attachment.run = lambda *how: passes.append(1) or run(*how)  # type: ignore[func-returns-value,method-assign]
    settings = CorruptionSettings(degrees=(1,), seeds=5)
    observe_corruptions(replace(context, corrupting=settings), lambda: (GLARE,))
    # Glare: 60 inputs, one batch; the shift of one channel: 4 inputs each at most. Two networks.
    assert len(passes) <= 2 * (1 + 4)


def test_what_is_not_images_is_not_measured() -> None:
    tokens = {
        "tokens": torch.randint(0, 11, (8, 5), generator=torch.Generator().manual_seed(0)),
        "mask": torch.ones(8, 5, dtype=torch.bool),
    }
    policies = ("uniform-4",)
    text = context_of(Tokens(), tokens, None, policies, settings=TOKEN_SETTINGS)
    rows = context_of(chain(), torch.randn(8, 4), None, policies, settings=TOKEN_SETTINGS)
    for context, reason in ((text, "several named tensors"), (rows, "an example is 4")):
        found = observe_corruptions(context, both)
        assert reason in (found.reason or "")
        assert found.cells == []


def test_a_missing_library_is_a_reason() -> None:
    def missing() -> Sequence[Corruption]:
        raise MissingExtra("corruptions needs the package torchvision")

    found = observe_corruptions(context_of(Dazzled(), *some_images()), missing)
    assert found.reason == "corruptions needs the package torchvision"
