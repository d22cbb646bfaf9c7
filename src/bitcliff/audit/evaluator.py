"""Running the network on chosen examples under chosen allocations, always in batches of one size.

The last batch is padded, so that every example runs through the same kernels whatever else is
evaluated with it.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import partial
from typing import overload

import torch
from jaxtyping import Bool, Float, Float64, Int
from torch import Tensor
from torch.autograd.graph import allow_mutation_on_saved_tensors

from bitcliff.points import Attachment, batches, take
from bitcliff.points.attach import FLOAT, WEIGHTS_ONLY, Rounding, gradient_rounding, rounding_to
from bitcliff.points.final_activation import to_logits
from bitcliff.points.forward import each, raw_tensors, taken
from bitcliff.tasks import task_of
from bitcliff.tasks.against_float import AgainstFloat
from bitcliff.types.presets import Format
from bitcliff.types.runtime import Run
from bitcliff.types.streamed import Streamed
from bitcliff.types.subject import AllInputs, Inputs, Texts

# Relative size of the nudge in `Evaluator.repeat`: some ten units in the last place of a float32.
NUDGE = 1e-6


Symbols = Sequence[tuple[int, ...]]
"""What each outcome is written in, where outcomes are texts."""


@dataclass
class Spent:
    """Effort so far, in examples passed through the network (padding not counted)."""

    forward: int = 0
    backward: int = 0

    @property
    def cost(self) -> int:
        """In forward passes; a backward pass with all options weighed costs about three."""
        return self.forward + 3 * self.backward


@dataclass(frozen=True)
class Scores:
    """What the network gave.

    Attributes:
        logits: (m, classes), float32 or wider; behind a last softmax or sigmoid the logarithms or
            log-odds of what it gave.
        failed_at: for each example the point where a NaN or infinity showed, or None.
        shares: how much of each outcome is as in float, from 0 to 1, where an outcome is no single
            choice.
        symbols: what each outcome is written in, where outcomes are texts.
    """

    logits: Float[Tensor, "m classes"]
    failed_at: tuple[str | None, ...]
    shares: Float[Tensor, " m"] | None = None
    symbols: Symbols | None = None

    @property
    def finite(self) -> Bool[Tensor, " m"]:
        """Examples that have a prediction at all."""
        return torch.tensor([place is None for place in self.failed_at], dtype=torch.bool)

    @property
    def predictions(self) -> Int[Tensor, " m"]:
        """Argmax; meaningless where not `finite`."""
        return self.logits.argmax(1)


def margins(
    logits: Float[Tensor, "m classes"], reference: Int[Tensor, " m"]
) -> Float64[Tensor, " m"]:
    """Logit of the reference class minus the largest other; negative once the decision flips.

    In float64, where the difference of two finite float32 numbers is finite too.
    """
    own = logits.gather(1, reference[:, None])[:, 0]
    others = logits.scatter(1, reference[:, None], float("-inf"))
    return own.double() - others.amax(1).double()


@dataclass
class Evaluator:
    """An attached model and the data, with a count of what was spent.

    Attributes:
        reference: (n,) the class that margins are measured against.
        scale: the median size of the float margins, before a last softmax or sigmoid: what counts
            as clear-cut here.
        in_place: the network overwrites what its gradient needs; found out on the way.
        broken: places of examples that gave NaN or infinity in any pass, until cleared.
        on_batch: called after every batch, for progress.
    """

    attachment: Attachment
    inputs: AllInputs
    batch_size: int
    reference: Int[Tensor, " n"] = field(default_factory=lambda: torch.empty(0, dtype=torch.int64))
    scale: float = 0.0
    in_place: bool = False
    spent: Spent = field(default_factory=Spent)
    broken: set[int] = field(default_factory=set)
    on_batch: Callable[[], None] | None = None

    def float_scores(self, index: Int[Tensor, " m"]) -> Scores:
        """The network in float."""
        return self._scores(index, lambda _rows: FLOAT)

    def float_margins(self, index: Int[Tensor, " m"]) -> Float64[Tensor, " m"]:
        """By what float's decisions lead, before a last softmax or sigmoid."""
        # Not `FLOAT`, under which nothing inside is seen.
        found = self._scores(index, lambda _rows: Rounding(weights=False), followable=True)
        return margins(found.logits, found.predictions)[found.finite]

    def weights_only_scores(self, index: Int[Tensor, " m"]) -> Scores:
        """Weights quantized, activations in float."""
        return self._scores(index, lambda _rows: WEIGHTS_ONLY)

    def scores(
        self,
        index: Int[Tensor, " m"],
        bits: Int[Tensor, "m points"],
        active: frozenset[int] | None = None,
    ) -> Scores:
        """Weights and points quantized, each example by its own row of `bits`.

        Args:
            active: the points to quantize, by index; the others stay in float. None for all.
        """
        return self._scores(index, lambda rows: rounding_to(bits[rows], active))

    def format_scores(
        self,
        index: Int[Tensor, " m"],
        formats: tuple[Format | None, ...],
        batch_size: int | None = None,
        followable: bool = False,
    ) -> Scores:
        """Weights and activations as a runtime rounds them, in a format for each point; None leaves
        a layer in float.

        Args:
            batch_size: matters where a scale is shared by a batch.
            followable: what precedes a last softmax or sigmoid, as a search wants it.
        """

        def rounding(rows: Tensor) -> Rounding:
            return Rounding(formats=formats, examples=len(rows))

        return self._scores(index, rounding, batch_size, followable)

    def runtime_scores(self, index: Int[Tensor, " m"], run: Run, batch_size: int) -> Scores:
        """What somebody else's runtime says, in batches of this size and in this order.

        The last batch is smaller where they do not come out even, as it would be in use: copies
        would change nothing where each example has its own scale, and would be no users' batch
        where one serves all.
        """
        logits, shares, symbols = [], [], list[tuple[int, ...]]()
        parts = index.split(batch_size)
        for rows, inputs in zip(parts, taken(self.inputs, parts), strict=True):
            logits.append(run(inputs))
            shares.append(self._shares(len(rows)))
            symbols += self._symbols(len(rows))
            self._count(len(rows))
        scores = torch.cat(logits)
        whole = torch.isfinite(scores).all(1).tolist()
        in_logits = to_logits(scores, self.attachment.final)
        failed = tuple(None if one else "output" for one in whole)
        return Scores(in_logits, failed, _joined(shares), tuple(symbols) or None)

    def repeat(
        self, index: Int[Tensor, " m"], bits: Int[Tensor, "m points"], number: int
    ) -> Scores | None:
        """The same as `scores`, the input nudged by one part in a million; None for tokens.

        Coarse rounding turns the last digits of another machine's arithmetic into whole steps, so a
        decision may hang on them. The nudge stands for such a machine; it depends on `number` and
        the example alone.
        """
        if not raw_tensors(self.inputs):
            return None
        steady = self.inputs
        # Which example it is a batch that is read as needed does not say: there all get one noise.
        nudge = partial(nudged, number=number, alike=isinstance(steady, Streamed))
        self.inputs = self.wanted_alike(each(steady, nudge), steady)
        try:
            return self.scores(index, bits)
        finally:
            self.inputs = steady

    def wanted_alike(self, changed: AllInputs, inputs: AllInputs) -> AllInputs:
        """The changed examples, of which the task wants what it wants of those that they are of."""
        task = task_of(self.attachment.model)
        if isinstance(task, AgainstFloat):
            task.same(changed, inputs)
        return changed

    def margins(
        self, index: Int[Tensor, " m"], bits: Int[Tensor, "m points"]
    ) -> Float[Tensor, " m"]:
        """Margins under these allocations, before a last softmax or sigmoid; +inf on a numeric
        failure, which is no flip."""
        scores = self._scores(index, lambda rows: rounding_to(bits[rows]), followable=True)
        found = margins(scores.logits, self.reference[index])
        return torch.where(scores.finite, found, float("inf"))

    def gradients(
        self, index: Int[Tensor, " m"], bits: Int[Tensor, "m points"], options: Int[Tensor, " o"]
    ) -> Float[Tensor, "m points o"]:
        """d margin / d choice at these allocations: <d margin / d x, Q_o(x) - x> at every point.

        Zero for examples with a numeric failure.
        """
        found = torch.zeros(*bits.shape, len(options))
        for rows, padded in self.batches_of(index):
            found[rows] = self._gradients_of(index[padded], bits[padded], options)[: len(rows)]
            self._count(len(rows), backward=True)
        return found

    def _gradients_of(
        self, index: Int[Tensor, " m"], bits: Int[Tensor, "m points"], options: Int[Tensor, " o"]
    ) -> Float[Tensor, "m points o"]:
        hot = (bits[:, :, None] == options).float()
        choice = [hot[:, point].clone().requires_grad_() for point in range(hot.shape[1])]
        rounding = gradient_rounding(choice, options)
        gradients = self._with_copies(index, rounding, choice, len(index))
        return _filled(gradients, torch.zeros_like(hot[:, 0]), 1)

    def format_gradients(
        self, index: Int[Tensor, " m"], formats: tuple[Format, ...], options: tuple[Format, ...]
    ) -> Float[Tensor, "points o"]:
        """d (sum of margins) / d (choice of a format at each point, the same for all examples).

        <d margin / d x, Q_o(x) - x>, and the same of the point's weights, added up.
        """
        found = torch.zeros(len(formats), len(options))
        for rows, padded in self.batches_of(index):
            hot = [[float(one == chosen) for one in options] for chosen in formats]
            choice = [torch.tensor(row).requires_grad_() for row in hot]
            rounding = Rounding(
                formats=formats, choice=choice, weighed=options, examples=len(padded)
            )
            gradients = self._with_copies(index[padded], rounding, choice, len(rows))
            found += _filled(gradients, torch.zeros(len(options)), 0)
            self._count(len(rows), backward=True)
        return found

    def _with_copies(
        self, index: Int[Tensor, " m"], rounding: Rounding, choice: list[Tensor], count: int
    ) -> Sequence[Tensor | None]:
        """Gradients of the first `count` examples' margins, whether or not the network overwrites
        what they need."""
        try:
            return self._gradients(index, rounding, choice, count)
        except RuntimeError as error:
            if self.in_place or "inplace operation" not in str(error):
                raise
            self.in_place = True
            return self._gradients(index, rounding, choice, count)

    def _gradients(
        self, index: Int[Tensor, " m"], rounding: Rounding, choice: list[Tensor], count: int
    ) -> Sequence[Tensor | None]:
        # Copies what a network overwrites; costs about a second forward pass, so only if needed.
        saving = allow_mutation_on_saved_tensors() if self.in_place else nullcontext()
        with torch.enable_grad(), saving:
            logits = self.attachment.run(take(self.inputs, index), rounding)
            found = margins(self.attachment.followable(logits), self.reference[index])[:count]
            total = found[torch.isfinite(found)].sum()
            # Where the network turns gradients off there is none at all.
            if not total.requires_grad:
                return [None] * len(choice)
            return torch.autograd.grad(total, choice, allow_unused=True)

    def _scores(
        self,
        index: Int[Tensor, " m"],
        rounding: Callable[[Tensor], Rounding],
        batch_size: int | None = None,
        followable: bool = False,
    ) -> Scores:
        logits, shares = list[Tensor](), list[Tensor | None]()
        symbols = list[tuple[int, ...]]()
        failed: list[str | None] = [None] * len(index)
        order = torch.empty(len(index), dtype=torch.int64)
        done = 0
        with torch.no_grad():
            for rows, padded, inputs in self.taken_of(index, batch_size):
                batch = self.attachment.run(inputs, rounding(padded))
                for row, point in zip(
                    rows.tolist(), self._failures(batch[: len(rows)]), strict=True
                ):
                    failed[row] = point
                if followable:
                    batch = self.attachment.followable(batch)
                else:
                    batch = to_logits(batch, self.attachment.final)
                    symbols += self._symbols(len(rows))
                batch = batch if batch.dtype == torch.float64 else batch.float()
                logits.append(batch[: len(rows)].cpu())
                shares.append(self._shares(len(rows)))
                order[rows] = torch.arange(done, done + len(rows))
                done += len(rows)
                self._count(len(rows))
        places = zip(index.tolist(), failed, strict=True)
        self.broken |= {place for place, point in places if point is not None}
        kept = _joined(shares)
        return Scores(
            torch.cat(logits)[order],
            tuple(failed),
            None if kept is None else kept[order],
            tuple(symbols[place] for place in order.tolist()) if symbols else None,
        )

    def _shares(self, count: int) -> Tensor | None:
        """Of the first examples of the batch that was just run."""
        task = task_of(self.attachment.model)
        return task.shares[:count] if isinstance(task, AgainstFloat) else None

    def _symbols(self, count: int) -> list[tuple[int, ...]]:
        """Of the same, what outcomes are written in."""
        task = task_of(self.attachment.model)
        found = task.symbols if isinstance(task, AgainstFloat) else None
        return [] if found is None else found[:count]

    def batches_of(
        self, index: Int[Tensor, " m"], size: int | None = None
    ) -> Iterator[tuple[Int[Tensor, " rows"], Int[Tensor, " size"]]]:
        """`batches` of the places in `index`; each of texts of one length alone, and so without any
        padding."""
        size = size or self.batch_size
        if not isinstance(self.inputs, Texts):
            yield from batches(torch.arange(len(index)), size)
            return
        everyone = self.inputs.lengths
        own = everyone[index]
        for length in own.unique().tolist():
            places = (own == length).nonzero()[:, 0]
            for rows, padded in batches(places, min(size, int((everyone == length).sum()))):
                yield places[rows], padded

    def taken_of(
        self, index: Int[Tensor, " m"], size: int | None = None
    ) -> Iterator[tuple[Int[Tensor, " rows"], Int[Tensor, " size"], Inputs]]:
        """`batches_of` with what the network is fed in each."""
        parts = list(self.batches_of(index, size))
        every = taken(self.inputs, (index[padded] for _, padded in parts))
        for (rows, padded), inputs in zip(parts, every, strict=True):
            yield rows, padded, inputs

    def _count(self, examples: int, backward: bool = False) -> None:
        self.spent.forward += examples
        self.spent.backward += examples if backward else 0
        if self.on_batch is not None:
            self.on_batch()

    def _failures(self, logits: Float[Tensor, "m classes"]) -> list[str | None]:
        finite = torch.isfinite(logits).reshape(len(logits), -1).all(1).tolist()
        found: list[str | None] = [None if one else "output" for one in finite]
        for place, point in self.attachment.incidents.failed.items():
            if place < len(found):
                found[place] = point
        return found


def _joined(parts: Sequence[Tensor | None]) -> Tensor | None:
    known = [part for part in parts if part is not None]
    return torch.cat(known) if known else None


def _filled(gradients: Sequence[Tensor | None], none: Tensor, axis: int) -> Tensor:
    """Stacked; a point that a forward pass does not reach has no gradient."""
    return torch.stack([none if g is None else g for g in gradients], axis).nan_to_num(
        0.0, 0.0, 0.0
    )


@overload
def laid_out_for_speed(inputs: Inputs) -> Inputs: ...
@overload
def laid_out_for_speed(inputs: AllInputs) -> AllInputs: ...
def laid_out_for_speed(inputs: AllInputs) -> AllInputs:
    """The same values; images with channels last in memory, where convolutions run faster."""
    return each(inputs, _channels_last)


def _channels_last(values: Tensor) -> Tensor:
    is_pictures = values.ndim == 4 and values.is_floating_point()
    return values.contiguous(memory_format=torch.channels_last) if is_pictures else values


def nudged(values: Tensor, number: int, alike: bool = True) -> Tensor:
    """Floats multiplied by noise around 1; anything else as it is.

    Args:
        number: of the draw. alike: every example gets the same noise.
    """
    if not values.is_floating_point():
        return values
    noise = torch.Generator().manual_seed(number)
    shape = values.shape[1:] if alike else values.shape
    factor = 1 + NUDGE * torch.randn(shape, generator=noise)
    return (values * factor).to(values.dtype)
