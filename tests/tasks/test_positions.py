import numpy as np
import pytest
import torch
from sklearn.metrics import jaccard_score
from torch import Tensor

from bitcliff.errors import InputError
from bitcliff.tasks.choice import read_task
from bitcliff.tasks.positions import MeanIou, Positions
from bitcliff.types.subject import MASK, Inputs

NOTHING = torch.empty(0)
MANY = torch.Generator().manual_seed(0)


def is_as_float(
    task: Positions, ours: Tensor, theirs: Tensor, inputs: Inputs = NOTHING
) -> list[bool]:
    lead = task.lead(ours, inputs, task.decided(theirs, inputs))
    return (lead >= 0).tolist()


@pytest.mark.parametrize("shape", [(20, 30, 4), (20, 4, 6, 5)], ids=["sequence", "map"])
@pytest.mark.parametrize("share", [0.0, 0.1, 0.34])
@pytest.mark.parametrize("probable", [False, True])
def test_an_outcome_is_another_when_more_than_a_share_is(
    shape: tuple[int, ...], share: float, probable: bool
) -> None:
    theirs = torch.randn(shape, generator=MANY)
    spread = torch.linspace(0, 0.8, 20).view(-1, *[1] * (len(shape) - 1))
    ours = theirs + spread * torch.randn(shape, generator=MANY)
    axis = 2 if len(shape) == 3 else 1
    if probable:
        theirs, ours = theirs.softmax(axis), ours.softmax(axis)
    differ = (theirs.argmax(axis) != ours.argmax(axis)).flatten(1).float().mean(1)
    expected = (differ <= share).tolist()
    assert is_as_float(Positions(share), ours, theirs) == expected
    assert {True, False} == set(expected)


def test_padding_counts_for_nothing() -> None:
    theirs = torch.tensor([[[0.0, 1.0], [1.0, 0.0], [1.0, 0.0]]]).repeat(2, 1, 1)
    ours = theirs.clone()
    ours[:, 2] = torch.tensor([0.0, 1.0])
    mask = torch.tensor([[1, 1, 1], [1, 1, 0]])
    assert is_as_float(Positions(), ours, theirs, {MASK: mask}) == [False, True]
    # One of three is too many for three tenths of three, and none of two is not.
    assert is_as_float(Positions(0.34), ours, theirs, {MASK: mask}) == [True, True]


@pytest.mark.parametrize("probable", [True, False])
def test_one_channel_is_there_or_not(probable: bool) -> None:
    theirs = torch.tensor([-2.0, 3.0, -1.0, 4.0]).view(1, 1, 2, 2)
    ours = torch.tensor([-9.0, 0.1, -0.1, 4.0]).view(1, 1, 2, 2)
    other = torch.tensor([-9.0, -0.1, -0.1, 4.0]).view(1, 1, 2, 2)
    if probable:
        theirs, ours, other = theirs.sigmoid(), ours.sigmoid(), other.sigmoid()
    assert is_as_float(Positions(), ours, theirs) == [True]
    assert is_as_float(Positions(), other, theirs) == [False]


def test_the_gradient_is_that_of_the_position_that_decides() -> None:
    theirs = torch.tensor([[[0.0, 3.0], [0.0, 1.0], [2.0, 0.0]]])
    ours = theirs.clone().requires_grad_()
    task = Positions()
    task.lead(ours, NOTHING, task.decided(theirs, NOTHING)).sum().backward()
    assert ours.grad is not None
    assert ours.grad[0].tolist() == [[0.0, 0.0], [-1.0, 1.0], [0.0, 0.0]]


def test_what_has_no_positions_is_refused() -> None:
    with pytest.raises(InputError, match=r"but gave shape \(2, 3\)"):
        Positions().decided(torch.zeros(2, 3), NOTHING)


def test_a_map_is_brought_to_the_size_of_the_output_and_says_nothing_where_it_is_255() -> None:
    wanted = torch.tensor([[0, 1], [255, 2]])
    large = wanted.repeat_interleave(3, 0).repeat_interleave(3, 1)
    found = Positions().told(torch.zeros(1, 3, 2, 2), large)
    assert found.tolist() == [[0, 1, -1, 2]]
    ours = torch.nn.functional.one_hot(torch.tensor([0, 1, 0, 1]), 3).float()
    output = ours.T.reshape(1, 3, 2, 2)
    assert Positions().share(output, NOTHING, found).tolist() == [pytest.approx(2 / 3)]
    assert (Positions().lead(output, NOTHING, found) < 0).tolist() == [True]
    assert (Positions(0.34).lead(output, NOTHING, found) > 0).tolist() == [True]


@pytest.mark.parametrize(
    ("shape", "target", "message"),
    [
        ((1, 4, 3), torch.zeros(5), "of shape \\(5,\\) is not of an output of shape \\(4, 3\\)"),
        ((1, 4, 3), torch.zeros(2, 2), "is not of an output"),
        ((1, 4, 3), torch.tensor([0, 1, 2, 3]), "has class 3 at most"),
        ((1, 4, 3), torch.full((4,), -1), "one position at least"),
        ((1, 3, 2, 2), torch.full((2, 2), 255), "one position at least"),
    ],
)
def test_a_label_that_does_not_fit_is_refused(
    shape: tuple[int, ...], target: Tensor, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        Positions().told(torch.zeros(shape), target)


def test_mean_iou_of_maps_is_scikit_learns_jaccard_of_their_classes() -> None:
    generator = torch.Generator().manual_seed(3)
    # Of some classes an image has nothing: they do not count.
    theirs = torch.randint(0, 4, (6, 9, 7), generator=generator)
    theirs[0] = 1
    ours = theirs.where(torch.rand(theirs.shape, generator=generator) < 0.8, 2)
    output = torch.nn.functional.one_hot(ours, 5).permute(0, 3, 1, 2).float()
    decided = theirs.flatten(1).int()
    decided[:, :5] = -1  # nothing is wanted there
    expected = [
        jaccard_score(a[5:], b[5:], average="macro", labels=np.union1d(a[5:], b[5:]))
        for a, b in zip(ours.flatten(1).numpy(), decided.numpy(), strict=True)
    ]
    assert min(expected) < 0.9
    task = read_task("iou")
    assert isinstance(task, MeanIou)
    np.testing.assert_allclose(task.share(output, torch.empty(0), decided), expected, atol=1e-12)
