"""Running the network on chosen examples under chosen allocations, always in batches of one size.

The last batch is padded, so that every example runs through the same kernels whatever else is
evaluated with it.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from functools import partial

import torch
from jaxtyping import Bool, Float, Float64, Int
from torch import Tensor
from torch.autograd.graph import allow_mutation_on_saved_tensors

from bitcliff.audit.batches import Ask, Elsewhere, Part, Under
from bitcliff.audit.inputs import nudged
from bitcliff.points import Attachment, batches
from bitcliff.points.attach import Rounding, gradient_rounding
from bitcliff.points.final_activation import to_logits
from bitcliff.points.forward import each, raw_tensors, taken
from bitcliff.tasks import task_of
from bitcliff.tasks.against_float import AgainstFloat
from bitcliff.types.presets import Format
from bitcliff.types.runtime import Run
from bitcliff.types.streamed import Streamed
from bitcliff.types.subject import AllInputs, Inputs, Texts

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
        elsewhere: who runs batches in place of this process.
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
    elsewhere: Elsewhere | None = None

    def float_scores(self, index: Int[Tensor, " m"]) -> Scores:
        """The network in float."""
        return self._scores(index, Under("float"))

    def float_margins(self, index: Int[Tensor, " m"]) -> Float64[Tensor, " m"]:
        """By what float's decisions lead, before a last softmax or sigmoid."""
        found = self._scores(index, Under("seen", followable=True))
        return margins(found.logits, found.predictions)[found.finite]

    def weights_only_scores(self, index: Int[Tensor, " m"]) -> Scores:
        """Weights quantized, activations in float."""
        return self._scores(index, Under("weights"))

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
        return self._scores(index, Under("bits", bits=bits, active=active))

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
        under = Under("formats", formats=formats, followable=followable)
        return self._scores(index, under, batch_size)

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
        if self._others is not None:
            return self._scores(index, Under("bits", bits=bits, nudge=number))
        steady, self.inputs = self.inputs, self.nudged_inputs(number)
        try:
            return self.scores(index, bits)
        finally:
            self.inputs = steady

    def nudged_inputs(self, number: int) -> AllInputs:
        """All inputs, nudged by the noise of this number."""
        # Which example it is a batch that is read as needed does not say: there all get one noise.
        nudge = partial(nudged, number=number, alike=isinstance(self.inputs, Streamed))
        return self.wanted_alike(each(self.inputs, nudge), self.inputs)

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
        scores = self._scores(index, Under("bits", bits=bits, followable=True))
        found = margins(scores.logits, self.reference[index])
        return torch.where(scores.finite, found, float("inf"))

    def gradients(
        self, index: Int[Tensor, " m"], bits: Int[Tensor, "m points"], options: Int[Tensor, " o"]
    ) -> Float[Tensor, "m points o"]:
        """d margin / d choice at these allocations: <d margin / d x, Q_o(x) - x> at every point.

        Zero for examples with a numeric failure.
        """
        found = torch.zeros(*bits.shape, len(options))
        for rows, part in self._parts(index, Under("bits", bits=bits, widths=options)):
            found[rows] = part.values
        return found

    def format_gradients(
        self, index: Int[Tensor, " m"], formats: tuple[Format, ...], options: tuple[Format, ...]
    ) -> Float[Tensor, "points o"]:
        """d (sum of margins) / d (choice of a format at each point, the same for all examples).

        <d margin / d x, Q_o(x) - x>, and the same of the point's weights, added up.
        """
        found = torch.zeros(len(formats), len(options))
        for _, part in self._parts(index, Under("formats", formats=formats, weighed=options)):
            found += part.values  # in the order of the batches, whoever ran them
        return found

    def _scores(
        self, index: Int[Tensor, " m"], under: Under, batch_size: int | None = None
    ) -> Scores:
        logits, shares = list[Tensor](), list[Tensor | None]()
        symbols = list[tuple[int, ...]]()
        failed: list[str | None] = [None] * len(index)
        order = torch.empty(len(index), dtype=torch.int64)
        done = 0
        for rows, part in self._parts(index, under, batch_size):
            for row, point in zip(rows.tolist(), part.failed, strict=True):
                failed[row] = point
            symbols += part.symbols
            logits.append(part.values)
            shares.append(part.shares)
            order[rows] = torch.arange(done, done + len(rows))
            done += len(rows)
        places = zip(index.tolist(), failed, strict=True)
        self.broken |= {place for place, point in places if point is not None}
        kept = _joined(shares)
        return Scores(
            torch.cat(logits)[order],
            tuple(failed),
            None if kept is None else kept[order],
            tuple(symbols[place] for place in order.tolist()) if symbols else None,
        )

    def _parts(
        self, index: Int[Tensor, " m"], under: Under, size: int | None = None
    ) -> Iterator[tuple[Int[Tensor, " rows"], Part]]:
        """The rows of each batch, and what it gave: the one place where batches are run."""
        every = list(self.batches_of(index, size))
        asks = (Ask(index[padded], len(rows), under.of(padded)) for rows, padded in every)
        if (others := self._others) is not None:
            found = others.run(asks)
        else:
            inputs = taken(self.inputs, (index[padded] for _, padded in every))
            found = (self.part(ask, given) for ask, given in zip(asks, inputs, strict=True))
        for (rows, _), part in zip(every, found, strict=True):
            self.attachment.incidents.strays |= part.strays
            self._count(len(rows), backward=under.by_gradients)
            yield rows, part

    @property
    def _others(self) -> Elsewhere | None:
        there = self.elsewhere
        return there if there and there.serves(self.attachment, self.inputs) else None

    def part(self, ask: Ask, inputs: Inputs) -> Part:
        """Run one batch here, of which `inputs` are the examples at its places."""
        if ask.under.by_gradients:
            return Part(self._gradients_of(ask, inputs))
        with torch.no_grad():
            batch = self.attachment.run(inputs, ask.under.rounding(len(ask.places)))
            failed = self._failures(batch[: ask.count])
            symbols = list[tuple[int, ...]]()
            if ask.under.followable:
                batch = self.attachment.followable(batch)
            else:
                batch = to_logits(batch, self.attachment.final)
                symbols = self._symbols(ask.count)
        batch = batch if batch.dtype == torch.float64 else batch.float()
        shares = self._shares(ask.count)
        return Part(batch[: ask.count].cpu(), tuple(failed), shares, tuple(symbols))

    def _gradients_of(self, ask: Ask, inputs: Inputs) -> Float[Tensor, "..."]:
        """Of each example, or of formats summed over those that are meant."""
        under = ask.under
        if under.bits is not None and under.widths is not None:
            hot = (under.bits[:, :, None] == under.widths).float()
            choice = [hot[:, point].clone().requires_grad_() for point in range(hot.shape[1])]
            rounding = gradient_rounding(choice, under.widths)
            gradients = self._with_copies(ask, inputs, rounding, choice, len(ask.places))
            return _filled(gradients, torch.zeros_like(hot[:, 0]), 1)[: ask.count]
        options = under.weighed
        rows = [[float(one == chosen) for one in options] for chosen in under.formats]
        choice = [torch.tensor(row).requires_grad_() for row in rows]
        rounding = replace(under.rounding(len(ask.places)), choice=choice, weighed=options)
        gradients = self._with_copies(ask, inputs, rounding, choice, ask.count)
        return _filled(gradients, torch.zeros(len(options)), 0)

    def _with_copies(
        self, ask: Ask, inputs: Inputs, rounding: Rounding, choice: list[Tensor], count: int
    ) -> Sequence[Tensor | None]:
        """Gradients of the first `count` examples' margins, whether or not the network overwrites
        what they need."""
        try:
            return self._gradients(ask, inputs, rounding, choice, count)
        except RuntimeError as error:
            if self.in_place or "inplace operation" not in str(error):
                raise
            self.in_place = True
            return self._gradients(ask, inputs, rounding, choice, count)

    def _gradients(
        self, ask: Ask, inputs: Inputs, rounding: Rounding, choice: list[Tensor], count: int
    ) -> Sequence[Tensor | None]:
        # Copies what a network overwrites; costs about a second forward pass, so only if needed.
        saving = allow_mutation_on_saved_tensors() if self.in_place else nullcontext()
        with torch.enable_grad(), saving:
            logits = self.attachment.run(inputs, rounding)
            reference = self.reference[ask.places]
            found = margins(self.attachment.followable(logits), reference)[:count]
            total = found[torch.isfinite(found)].sum()
            # Where the network turns gradients off there is none at all.
            if not total.requires_grad:
                return [None] * len(choice)
            return torch.autograd.grad(total, choice, allow_unused=True)

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
