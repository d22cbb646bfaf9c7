import math

import torch

from bitcliff.tasks.against_float import Comparison
from bitcliff.tasks.values import Embedding, Labels, Values

NOTHING = torch.empty(0)


def kept(task: Comparison, ours: torch.Tensor, theirs: torch.Tensor) -> list[bool]:
    return (task.lead(ours, NOTHING, task.decided(theirs, NOTHING)) >= 0).tolist()


def test_every_number_must_be_within_the_tolerance() -> None:
    theirs = torch.tensor([[1.0, 10.0], [1.0, 10.0], [1.0, 10.0]])
    off = torch.tensor([[0.2, -0.2], [0.0, 0.3], [-0.3, 0.0]])
    assert kept(Values(0.25), theirs + off, theirs) == [True, False, False]
    assert kept(Values(0.25), (theirs + off)[:, 0], theirs[:, 0]) == [True, True, False]


def test_a_vector_may_turn_by_so_much() -> None:
    angles = torch.tensor([0.0, 0.3, 0.5, 3.0])
    ours = 5 * torch.stack([angles.cos(), angles.sin()], 1)
    theirs = torch.tensor([[1.0, 0.0]]).repeat(4, 1)
    assert kept(Embedding(math.cos(0.4)), ours, theirs) == [True, True, False, False]


def test_all_labels_must_stay_on_their_side() -> None:
    theirs = torch.tensor([[0.9, 0.2, 0.7], [0.9, 0.2, 0.7]])
    ours = torch.tensor([[0.6, 0.4, 0.51], [0.9, 0.6, 0.7]])
    assert kept(Labels(), ours, theirs) == [True, False]
    assert kept(Labels(0.55), ours, theirs) == [False, False]
