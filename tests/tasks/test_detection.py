"""Boxes: against torchvision's own operations, and against counting by hand."""

import itertools

import numpy as np
import pytest
import scipy.optimize
import torch
import torchvision
from torch import Tensor

from bitcliff.errors import InputError
from bitcliff.tasks.detection import Detection, boxes_and_scores, corners, iou

NOTHING = torch.empty(0)
Found = list[tuple[np.ndarray, int, float]]


def drawn(random: torch.Generator, batch: int, candidates: int, classes: int) -> Tensor:
    """Boxes around few places, so that many overlap, and scores of which some pass 0.5."""
    places = torch.randint(1, 4, (batch, candidates, 2), generator=random) * 20.0
    centres = places + 4 * torch.randn(batch, candidates, 2, generator=random)
    sides = 12 + 10 * torch.rand(batch, candidates, 2, generator=random)
    scores = torch.rand(batch, candidates, classes, generator=random) ** 1.5
    return torch.cat([corners(torch.cat([centres, sides], 2)), scores], 2)


def shaken(random: torch.Generator, output: Tensor) -> Tensor:
    """As quantization might: boxes a little elsewhere, scores a little different."""
    noise = torch.randn(output.shape, generator=random)
    amount = torch.rand(len(output), 1, 1, generator=random) ** 3
    boxes = output[:, :, :4] + 8 * amount * noise[:, :, :4]
    high = torch.maximum(boxes[:, :, :2], boxes[:, :, 2:])
    scores = (output[:, :, 4:] + 0.4 * amount * noise[:, :, 4:]).clamp(0, 1)
    return torch.cat([boxes[:, :, :2].minimum(high), high, scores], 2)


def found(output: Tensor, at: float) -> Found:
    """Of one example, by torchvision's operations."""
    best, kind = output[:, 4:].max(1)
    above = best > at
    boxes, best, kind = output[above, :4], best[above], kind[above]
    kept = torchvision.ops.batched_nms(boxes, best, kind, 0.5)
    return [(boxes[i].numpy(), int(kind[i]), float(best[i])) for i in kept]


def test_overlaps_are_torchvisions() -> None:
    random = torch.Generator().manual_seed(0)
    a, b = drawn(random, 2, 50, 1)[:, :, :4]
    torch.testing.assert_close(iou(a, b), torchvision.ops.box_iou(a, b))
    flat = torch.tensor([[1.0, 2.0, 1.0, 5.0], [1.0, 2.0, 3.0, 5.0]])
    assert iou(flat, flat).tolist() == [[1.0, 0.0], [0.0, 1.0]]


@pytest.mark.parametrize("at", [0.2, 0.5])
def test_what_is_found_is_torchvisions(at: float) -> None:
    random = torch.Generator().manual_seed(1)
    output = drawn(random, 20, 30, 3)
    decided = Detection(at).decided(output, NOTHING)
    assert decided.shape == (20, 100, 6)
    for mine, one in zip(decided, output, strict=True):
        expected = found(one, at)
        rows = mine[mine[:, 5] >= 0]
        assert len(rows) == len(expected) > 0
        for row, (box, kind, score) in zip(rows, expected, strict=True):
            assert row.tolist() == [*map(float, box), kind, score]
        assert (mine[len(rows) :, 5] == -1).all()


def most_pairs(ours: Found, theirs: Found) -> int:
    """The most boxes that can be paired, whoever chooses first."""
    fits = np.zeros((len(ours), len(theirs)))
    for (i, a), (j, b) in itertools.product(enumerate(ours), enumerate(theirs)):
        inter = np.minimum(a[0][2:], b[0][2:]) - np.maximum(a[0][:2], b[0][:2])
        both = np.prod(np.maximum(inter, 0))
        either = np.prod(a[0][2:] - a[0][:2]) + np.prod(b[0][2:] - b[0][:2]) - both
        fits[i, j] = a[1] == b[1] and both >= 0.5 * either
    return int(fits[scipy.optimize.linear_sum_assignment(-fits)].sum())


@pytest.mark.parametrize("at", [0.3, 0.5, 0.8])
def test_shares_and_leads_are_what_pairing_boxes_says(at: float) -> None:
    random = torch.Generator().manual_seed(2)
    in_float = drawn(random, 100, 12, 2)
    in_float[:20, :, 4:] *= 0.2  # nothing is found there
    output = shaken(random, in_float)
    task = Detection(at)
    decided = task.decided(in_float, NOTHING)
    share = task.share(output, NOTHING, decided)
    lead = task.lead(output, NOTHING, decided)
    alike = 0
    for mine, ours, theirs in zip(share, output, in_float, strict=True):
        a, b = found(ours, at), found(theirs, at)
        most = 2 * most_pairs(a, b) / (len(a) + len(b)) if a or b else 1.0
        # Whoever chooses first may take a box that another needs: seldom.
        assert float(mine) <= most + 1e-6
        alike += abs(float(mine) - most) < 1e-6
    assert alike >= 98
    assert torch.equal(lead >= 0, share == 1)
    assert 10 < int((share == 1).sum()) < 90
    assert (task.lead(in_float, NOTHING, decided) >= 0).all()


def test_a_search_follows_the_score_that_is_nearest() -> None:
    box, other = [0.0, 0.0, 10.0, 10.0], [50.0, 50.0, 60.0, 60.0]
    in_float = torch.tensor([[[*box, 0.9, 0.0], [*other, 0.0, 0.8], [*box, 0.1, 0.2]]])
    in_float = torch.cat([in_float, torch.zeros(1, 3, 6)], 1)
    task = Detection(0.5)
    decided = task.decided(in_float, NOTHING)

    def followed(*scores: tuple[float, float]) -> tuple[float, list[list[float]]]:
        output = in_float.clone()
        output[0, :3, 4:] = torch.tensor(scores)
        output.requires_grad_()
        lead = task.lead(output, NOTHING, decided)
        (gradient,) = torch.autograd.grad(lead.sum(), output)
        assert not gradient[0, :, :4].any()
        return round(float(lead.detach()), 6), gradient[0, :3, 4:].tolist()

    none = [0.0, 0.0]
    assert followed((0.9, 0), (0, 0.7), (0.1, 0.2)) == (0.2, [none, [0.0, 1.0], none])
    assert followed((0.9, 0), (0, 0.8), (0.1, 0.3)) == (0.2, [none, none, [0.0, -1.0]])
    # A box of float's is missing: the best score of its class there, of which candidate ever.
    assert followed((0.2, 0), (0, 0.8), (0.4, 0.2)) == (-0.1, [none, none, [1.0, 0.0]])
    # Its class is another now: that one must go too.
    assert followed((0.45, 0.7), (0, 0.8), (0.1, 0)) == (-0.2, [[0.0, -1.0], none, none])
    # A box where float has none.
    lead, gradient = followed((0.9, 0), (0.6, 0.3), (0.1, 0.2))
    assert (lead, gradient) == (-0.2, [none, [0.0, 1.0], none])


def test_a_box_elsewhere_is_missed_whatever_its_score() -> None:
    in_float = torch.tensor([[[0.0, 0.0, 10.0, 10.0, 0.9]] * 5])
    task = Detection()
    decided = task.decided(in_float, NOTHING)
    moved = in_float + torch.tensor([6.0, 0.0, 6.0, 0.0, 0.0])
    moved.requires_grad_()
    lead = task.lead(moved, NOTHING, decided)
    assert float(lead.detach()) == pytest.approx(-0.4)
    assert task.share(moved.detach(), NOTHING, decided).tolist() == [0.0]
    broken = moved.detach().clone()
    broken[0, 0, 0] = torch.nan
    assert task.lead(broken, NOTHING, decided).isnan().all()


def test_both_layouts_hold_the_same_boxes() -> None:
    random = torch.Generator().manual_seed(3)
    output = drawn(random, 3, 20, 2)
    low, high = output[:, :, :2], output[:, :, 2:4]
    rows = torch.cat([(low + high) / 2, high - low, output[:, :, 4:]], 2)
    boxes, scores = boxes_and_scores(rows.transpose(1, 2))
    torch.testing.assert_close(torch.cat([boxes, scores], 2), output, rtol=0, atol=1e-5)


def test_no_more_boxes_are_compared_than_there_is_room_for() -> None:
    place = torch.arange(150.0)[:, None] * torch.tensor([20.0, 0.0, 20.0, 0.0])
    boxes = place + torch.tensor([0.0, 0.0, 10.0, 10.0])
    output = torch.cat([boxes, torch.linspace(0.99, 0.6, 150)[:, None]], 1)[None]
    task = Detection()
    decided = task.decided(output, NOTHING)
    assert (decided[0, :, 5] > 0.7).all()
    assert task.share(output, NOTHING, decided).tolist() == [1.0]
    assert (task.lead(output, NOTHING, decided) >= 0).all()


@pytest.mark.parametrize(
    ("output", "told"),
    [
        (torch.zeros(2, 10), r"but gave shape \(2, 10\)"),
        (torch.zeros(2, 10, 4), r"but gave shape \(2, 10, 4\)"),
        (torch.zeros(2, 3, 8, 8), r"but gave shape \(2, 3, 8, 8\)"),
        (torch.full((2, 10, 6), 3.0), "scores there lie from 3 to 3 and not in"),
        (torch.full((2, 6, 10), -1.0), "scores there lie from -1 to -1"),
        (torch.tensor([[[5.0, 5.0, 2.0, 2.0, 0.5]] * 6]), "boxes there are not x1, y1, x2, y2"),
    ],
)
def test_what_is_no_boxes_is_refused(output: Tensor, told: str) -> None:
    with pytest.raises(InputError, match=told) as caught:
        Detection().decided(output, NOTHING)
    assert str(caught.value).startswith("the model must give boxes and scores (batch, candidates")
