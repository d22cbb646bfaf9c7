"""Objects in an image: for each a box, its class and a score."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from bitcliff.errors import InputError
from bitcliff.types.subject import Inputs

# Intersection over union: above it two boxes of a class are one object, and from it on two
# outcomes agree on a box.
_SAME = 0.5
# Boxes of an example that are compared, of the largest scores, as in COCO's evaluation; and
# candidates among which they are looked for.
_MOST, _CONSIDERED = 100, 1000
# Of a lead whose sign scores alone do not give: a box may be elsewhere, whatever its score.
_LEAST = 1e-6

Boxes = Float[Tensor, "boxes 4"]


@dataclass(frozen=True)
class Detection:
    """The network gives boxes and for each a score of every class, before duplicates are dropped.

    An object is found where a candidate's largest score lies above `at` and no better one of its
    class overlaps it by more than half (greedy non-maximum suppression). Two outcomes agree on it
    where their boxes have one class and an intersection over union of 0.5 or more; each box agrees
    with one other at most, and those of larger scores choose first.

    Attributes:
        at: the score above which a candidate counts.
    """

    at: float = 0.5

    @property
    def name(self) -> str:
        """As `--task` takes it."""
        return f"detection:{self.at:g}"

    @property
    def words(self) -> str:
        """What a decision is, for people."""
        return (
            f"whether the boxes whose scores lie above {self.at:g} are {{own}}, by class and "
            "an overlap (IoU) of 0.5"
        )

    def decided(self, output: Tensor, inputs: Inputs) -> Float[Tensor, "batch 100 6"]:
        """Boxes found: x1, y1, x2, y2, class and score, and then rows whose score is -1.

        Raises:
            InputError: see `boxes_and_scores`; or scores lie outside [0, 1], or corners are in
                another order, by which another layout tells itself.
        """
        boxes, scores = boxes_and_scores(output)
        _check_ranges(output, boxes, scores)
        rows = torch.zeros(len(output), _MOST, 6, device=output.device)
        rows[:, :, 5] = -1
        for row, mine, theirs in zip(rows, boxes, scores, strict=True):
            best, kind = theirs.max(1)
            kept = self._found(mine, best, kind)
            found = [mine[kept], kind[kept, None], best[kept, None]]
            row[: len(kept)] = torch.cat(found, 1).nan_to_num()
        return rows

    def lead(self, output: Tensor, inputs: Inputs, decided: Tensor) -> Float[Tensor, " batch"]:
        """That of the score nearest to the threshold, or farthest on its wrong side.

        Of what agrees it is the score over the threshold, of other candidates the threshold over
        the score. A box of float's that is missing lacks the score of the best candidate there.
        """
        boxes, scores = boxes_and_scores(output)
        leads = [self._lead(*one) for one in zip(boxes, scores, decided, strict=True)]
        return torch.stack(leads)

    def share(self, output: Tensor, inputs: Inputs, decided: Tensor) -> Float[Tensor, " batch"]:
        """The harmonic mean of precision and recall against float's boxes (F1); 1 without any."""
        boxes, scores = boxes_and_scores(output)
        return torch.stack([self._f1(*one) for one in zip(boxes, scores, decided, strict=True)])

    def told(self, output: Tensor, target: Tensor) -> Float[Tensor, "1 100 6"]:
        """Boxes that an image has, as `decided` gives them, each with score 1.

        Args:
            target: (boxes, 5): x1, y1, x2, y2 in the unit of the model's boxes, and the class; rows
                of a negative class fill up.

        Raises:
            InputError: another shape, or classes that the model has not.
        """
        classes = boxes_and_scores(output)[1].shape[2]
        if target.ndim != 2 or target.shape[1] != 5 or len(target) > _MOST:
            raise InputError(
                f"a label has shape {tuple(target.shape)}; boxes are ({_MOST} at most, 5): x1, y1, "
                "x2, y2 and the class"
            )
        real = target[target[:, 4] >= 0].float()
        if len(real) and int(real[:, 4].max()) >= classes:
            raise InputError(
                f"a label has class {int(real[:, 4].max())}; the model's are 0 to {classes - 1}"
            )
        rows = torch.zeros(1, _MOST, 6)
        rows[:, :, 5] = -1
        rows[0, : len(real)] = torch.cat([real, torch.ones(len(real), 1)], 1)
        return rows

    def _found(
        self, boxes: Boxes, best: Float[Tensor, " boxes"], kind: Int[Tensor, " boxes"]
    ) -> Int[Tensor, " found"]:
        """Candidates that are found, those of the largest scores first."""
        order = best.sort(descending=True, stable=True).indices
        order = order[best[order] - self.at > 0][:_CONSIDERED]
        again = iou(boxes[order], boxes[order]) > _SAME
        again &= kind[order, None] == kind[order]
        left, kept = torch.ones_like(order, dtype=torch.bool), list[int]()
        for place in range(len(order)):
            if left[place] and len(kept) < _MOST:
                kept.append(place)
                left &= ~again[place]
        return order[kept]

    def _lead(
        self, boxes: Boxes, scores: Float[Tensor, "boxes classes"], decided: Float[Tensor, "most 6"]
    ) -> Float[Tensor, ""]:
        places, theirs, over = boxes.detach(), _rows(decided), scores.amax(1) - self.at
        kept, ours, own = self._agreeing(places, scores, theirs)
        missing = theirs[~own]
        overlap = iou(missing[:, :4], places)
        # The best there; where none is, the best of the nearest.
        near = overlap >= overlap.amax(1, keepdim=True).clamp(max=_SAME)
        there = scores.T[missing[:, 4].long()].masked_fill(~near, -torch.inf).amax(1)
        found = over[kept]
        wrong = torch.cat([-found[~ours], there - self.at])
        wrong = wrong + (wrong.clamp(max=-_LEAST) - wrong).detach()  # the gradient stays
        least = torch.cat([found[ours], wrong, -over[~(over > 0)]]).amin()
        finite = boxes.isfinite().all() & scores.isfinite().all()
        return torch.where(finite, least, torch.nan)

    def _f1(
        self, boxes: Boxes, scores: Float[Tensor, "boxes classes"], decided: Float[Tensor, "most 6"]
    ) -> Float[Tensor, ""]:
        _, ours, own = self._agreeing(boxes, scores, _rows(decided))
        every = len(ours) + len(own)
        return torch.tensor(2 * int(own.sum()) / every if every else 1.0)

    def _agreeing(
        self, boxes: Boxes, scores: Float[Tensor, "boxes classes"], theirs: Float[Tensor, "own 6"]
    ) -> tuple[Int[Tensor, " found"], Bool[Tensor, " found"], Bool[Tensor, " own"]]:
        """What is found, and which of it and which of theirs agree with one of the others."""
        best, kind = scores.detach().max(1)
        kept = self._found(boxes, best, kind)
        ours, own = (torch.zeros(len(one), dtype=torch.bool) for one in (kept, theirs))
        overlap = iou(boxes[kept], theirs[:, :4]).where(kind[kept, None] == theirs[:, 4], 0.0)
        for place in range(len(kept) if len(theirs) else 0):
            value, nearest = overlap[place].max(0)
            if value >= _SAME:
                ours[place] = own[nearest] = True
                overlap[:, nearest] = 0.0
        return kept, ours.to(kept.device), own.to(kept.device)


def _rows(decided: Float[Tensor, "most 6"]) -> Float[Tensor, "own 6"]:
    """Without those that fill up."""
    return decided[decided[:, 5] >= 0]


def boxes_and_scores(
    output: Tensor,
) -> tuple[Float[Tensor, "batch boxes 4"], Float[Tensor, "batch boxes classes"]]:
    """Corners and scores of every candidate, of either layout.

    (batch, candidates, 4 + classes) holds x1, y1, x2, y2 and scores. (batch, 4 + classes,
    candidates), as YOLO's exporters write it, holds x and y of the centre, width, height and
    scores. There are more candidates than anything else, so the longer of both axes is theirs; of
    equal ones the first. The unit of boxes does not matter.

    Raises:
        InputError: it is neither.
    """
    if output.ndim != 3 or not output.is_floating_point() or min(output.shape[1:]) < 5:
        raise InputError(
            "the model must give boxes and scores (batch, candidates, 4 + classes) or (batch, 4 + "
            f"classes, candidates), but gave shape {tuple(output.shape)}"
        )
    if output.shape[1] >= output.shape[2]:
        return output[:, :, :4], output[:, :, 4:]
    rows = output.transpose(1, 2)
    return corners(rows[:, :, :4]), rows[:, :, 4:]


def corners(boxes: Float[Tensor, "*any 4"]) -> Float[Tensor, "*any 4"]:
    """x1, y1, x2, y2 of centre, width and height; none is smaller than nothing."""
    centre, half = boxes[..., :2], boxes[..., 2:].clamp(min=0) / 2
    return torch.cat([centre - half, centre + half], -1)


def iou(a: Float[Tensor, "a 4"], b: Float[Tensor, "b 4"]) -> Float[Tensor, "a b"]:
    """Intersection over union of each with each; of two without area 1 where they are alike."""
    sides = torch.minimum(a[:, None, 2:], b[:, 2:]) - torch.maximum(a[:, None, :2], b[:, :2])
    both = sides.clamp(min=0).prod(2)
    either = _area(a)[:, None] + _area(b) - both
    alike = (a[:, None] == b).all(2)
    return torch.where(alike, 1.0, both / either.clamp(min=torch.finfo(a.dtype).tiny))


def _area(boxes: Float[Tensor, "boxes 4"]) -> Float[Tensor, " boxes"]:
    return (boxes[:, 2:] - boxes[:, :2]).clamp(min=0).prod(1)


def _check_ranges(output: Tensor, boxes: Tensor, scores: Tensor) -> None:
    """NaN is another matter, which whoever runs the network sees."""
    wrong = ""
    if bool(((scores < 0) | (scores > 1)).any()):
        low, high = float(scores.min()), float(scores.max())
        wrong = f"scores there lie from {low:.3g} to {high:.3g} and not in [0, 1]"
    elif bool((boxes[:, :, 2:] < boxes[:, :, :2]).any()):
        wrong = "boxes there are not x1, y1, x2, y2"
    if wrong:
        raise InputError(
            "the model must give boxes and scores (batch, candidates, 4 + classes), but gave shape "
            f"{tuple(output.shape)}, and {wrong}"
        )
