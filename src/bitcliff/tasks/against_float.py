"""Outcomes that are no single choice: whether they are as labelled, or without labels as in float,
by a rule for each kind."""

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor

from bitcliff.errors import InputError
from bitcliff.types.subject import MASK, AllInputs, Inputs, Texts, in_parts

# Examples whose outcome in float is kept; others are run again.
_KEPT = 4096


@runtime_checkable
class Comparison(Protocol):
    """When an outcome counts as the one that is wanted, float's own or a label."""

    @property
    def name(self) -> str:
        """As `--task` takes it."""

    @property
    def words(self) -> str:
        """What a decision is, for people, with `{own}` for what is wanted."""

    def decided(self, output: Tensor, inputs: Inputs) -> Tensor:
        """(batch, *rest): what the network decides, as far as `lead` needs it.

        Raises:
            InputError: such an output is not of this task.
        """

    def lead(self, output: Tensor, inputs: Inputs, decided: Tensor) -> Float[Tensor, " batch"]:
        """By how much outcomes are the decided ones, with a gradient; negative: they are others."""

    def share(self, output: Tensor, inputs: Inputs, decided: Tensor) -> Float[Tensor, " batch"]:
        """How much of each outcome is as decided, from 0 to 1."""

    def told(self, output: Tensor, target: Tensor) -> Tensor:
        """(1, *rest): a label as `decided` would give it.

        Args:
            output: float's, of this one example. target: (*any,), as the data has it.

        Raises:
            InputError: such a label does not go with such an output.
        """


@runtime_checkable
class Reads(Protocol):
    """A rule whose outcomes are texts, written in symbols of the network's."""

    @property
    def passes(self) -> int:
        """After how many a network that goes on from its own symbols has written all it writes."""

    def symbols(self, output: Tensor, inputs: Inputs) -> list[tuple[int, ...]]:
        """Those of each example, in order."""

    def followed(
        self, inputs: Inputs, rows: Int[Tensor, " rows"], own: Sequence[tuple[int, ...]]
    ) -> Inputs:
        """All examples, of which these go on from these symbols."""


class AgainstFloat:
    """Two decisions: as is wanted, and otherwise.

    What float decides of an example is found by running the network as it is, once an example: it
    is told by the bytes of its inputs. Where the data has labels, they are wanted instead.

    Args:
        kind: the rule. run: the network in float, from inputs to its output.
    """

    def __init__(self, kind: Comparison, run: Callable[[Inputs], Tensor]) -> None:
        self.kind, self._run = kind, run
        self._known: OrderedDict[bytes, Tensor] = OrderedDict()
        self._targets: dict[bytes, Tensor] = {}
        self._labelled = False
        self._last: tuple[Tensor, Inputs, Tensor] | None = None

    def __deepcopy__(self, _memo: Any) -> "AgainstFloat":
        # A copy of the network, quantized or folded, is still compared with the network itself.
        return self

    @property
    def name(self) -> str:
        """As `--task` takes it."""
        return self.kind.name

    @property
    def words(self) -> str:
        """What a decision is, for people."""
        return self.kind.words.format(own="the labelled one" if self._labelled else "float's own")

    @property
    def decisions(self) -> tuple[str, ...]:
        """In the order of the scores."""
        return "as labelled" if self._labelled else "as in float", "otherwise"

    @property
    def labelled(self) -> bool:
        """Whether labels are wanted, and not float's own outcomes."""
        return self._labelled

    def tell(
        self, inputs: AllInputs, targets: Shaped[Tensor, "n *rest"], *, labelled: bool = True
    ) -> None:
        """What is wanted of these examples, and of no others.

        Args:
            labelled: the data says so; else it is what must be known to find what float has.

        Raises:
            InputError: the same inputs come with different labels.
        """
        self._targets.clear()
        self._labelled = labelled
        self.forget()
        for row, target in zip(every_digest(inputs), targets, strict=True):
            before = self._targets.setdefault(row, target)
            if not torch.equal(before, target):
                raise InputError(
                    "two examples are the same but for their labels: leave one out (of "
                    "pairs, let what stands in several be the second one)"
                )

    def told(self, inputs: AllInputs) -> list[Tensor] | None:
        """What `tell` said of these examples; None: nothing, of one at least."""
        found = [self._targets.get(row) for row in every_digest(inputs)]
        known = [one for one in found if one is not None]
        return known if len(known) == len(found) else None

    def same(self, changed: AllInputs, inputs: AllInputs) -> None:
        """Of the changed examples the same is wanted as of those that they were made of, if that is
        a label: else float's own."""
        if self._targets:
            rows = zip(every_digest(changed), every_digest(inputs), strict=True)
            self._targets |= {new: self._targets[old] for new, old in rows if old in self._targets}

    def go_on(self, changed: Inputs, inputs: Inputs) -> None:
        """The changed examples go on otherwise, and are compared with the same outcomes."""
        rows = zip(digests(changed), digests(inputs), strict=True)
        self._known |= {new: self._known[old] for new, old in rows if old in self._known}

    def scores(self, output: Tensor, inputs: Inputs) -> Float[Tensor, "batch 2"]:
        """The lead of what is wanted, and zero.

        Raises:
            InputError: such an output is not of this task.
        """
        decided = self._decided(inputs)
        if output.ndim < 1 or len(output) != len(decided):
            raise InputError(
                f"the model gave shape {tuple(output.shape)} for {len(decided)} examples: the "
                "examples must come first"
            )
        decided = decided.to(output.device)
        lead = self.kind.lead(output, inputs, decided)
        self._last = output.detach(), inputs, decided
        return torch.stack([lead, torch.zeros_like(lead)], 1)

    def scores_before(self, given: Tensor, inputs: Inputs) -> Float[Tensor, "batch 2"]:
        """The same."""
        return self.scores(given, inputs)

    @property
    def shares(self) -> Float[Tensor, " batch"]:
        """Of the examples whose scores were asked for last, how much of each outcome is as is
        wanted."""
        assert self._last is not None  # noqa: S101  (asked for after scores alone)
        with torch.no_grad():
            return self.kind.share(*self._last).float().cpu()

    @property
    def symbols(self) -> list[tuple[int, ...]] | None:
        """Of the same, what their texts are written in, where outcomes are texts."""
        assert self._last is not None  # noqa: S101  (asked for after scores alone)
        output, inputs, _ = self._last
        return self.kind.symbols(output, inputs) if isinstance(self.kind, Reads) else None

    @property
    def outcomes(self) -> Tensor:
        """Of the same examples what was decided, as the kind has it.

        Raises:
            InputError: what the network gave then is of no such kind.
        """
        assert self._last is not None  # noqa: S101  (asked for after scores alone)
        with torch.no_grad():
            return self.kind.decided(*self._last[:2]).cpu()

    def forget(self) -> None:
        """What was found of examples so far.

        Kernels round otherwise for another size of batch, on which a near tie may hang: float is to
        be compared with what it gave in the batches that are used from now on.
        """
        self._known.clear()

    def _decided(self, inputs: Inputs) -> Tensor:
        """What is wanted of each example."""
        rows = digests(inputs)
        if any(row not in self._known for row in rows):
            with torch.no_grad():
                output = self._run(inputs)
                found = self.kind.decided(output, inputs)
            for place, row in enumerate(rows):
                target, decided = self._targets.get(row), found[place]
                if target is not None:
                    decided = self.kind.told(output[[place]], target)[0]
                self._known.setdefault(row, decided)
        chosen = torch.stack([self._known[row] for row in rows])
        while len(self._known) > _KEPT:
            self._known.popitem(last=False)
        return chosen


def every_digest(inputs: AllInputs) -> Iterator[bytes]:
    return chain.from_iterable(map(digests, in_parts(inputs)))


def digests(inputs: Inputs) -> list[bytes]:
    """What each example is told by, without its padding."""
    if isinstance(inputs, Texts) and not bool(inputs[MASK].all()):
        return [digest for one in inputs.one_by_one() for digest in digests(one)]
    named = inputs if isinstance(inputs, Mapping) else {"": inputs}
    return [
        hashlib.blake2b(
            b"".join(x.numpy(force=True).tobytes() for x in one), digest_size=16
        ).digest()
        for one in zip(*named.values(), strict=True)
    ]
