"""Outcomes that are no single choice: whether they are as in float, by a rule for each kind."""

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from bitcliff.errors import InputError
from bitcliff.types.subject import Inputs

# Examples whose outcome in float is kept; others are run again.
_KEPT = 4096


@runtime_checkable
class Comparison(Protocol):
    """When an outcome counts as float's own."""

    @property
    def name(self) -> str:
        """As `--task` takes it."""

    @property
    def words(self) -> str:
        """What a decision is, for people."""

    def decided(self, output: Tensor, inputs: Inputs) -> Tensor:
        """(batch, *rest): what the network decides, as far as `lead` needs it.

        Raises:
            InputError: such an output is not of this task.
        """

    def lead(self, output: Tensor, inputs: Inputs, decided: Tensor) -> Float[Tensor, " batch"]:
        """By how much outcomes are the decided ones, with a gradient; negative: they are others."""

    def share(self, output: Tensor, inputs: Inputs, decided: Tensor) -> Float[Tensor, " batch"]:
        """How much of each outcome is as decided, from 0 to 1."""


class AgainstFloat:
    """Two decisions: as in float, and otherwise.

    What float decides of an example is found by running the network as it is, once an example: it
    is told by the bytes of its inputs.

    Args:
        kind: the rule. run: the network in float, from inputs to its output.
    """

    decisions = ("as in float", "otherwise")

    def __init__(self, kind: Comparison, run: Callable[[Inputs], Tensor]) -> None:
        self.kind, self._run = kind, run
        self._known: OrderedDict[bytes, Tensor] = OrderedDict()
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
        return self.kind.words

    def scores(self, output: Tensor, inputs: Inputs) -> Float[Tensor, "batch 2"]:
        """The lead of float's own outcome, and zero.

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
        """Of the examples whose scores were asked for last, how much of each outcome is as in
        float."""
        assert self._last is not None  # noqa: S101  (asked for after scores alone)
        with torch.no_grad():
            return self.kind.share(*self._last).float().cpu()

    def forget(self) -> None:
        """What was found of examples so far.

        Kernels round otherwise for another size of batch, on which a near tie may hang: float is to
        be compared with what it gave in the batches that are used from now on.
        """
        self._known.clear()

    def _decided(self, inputs: Inputs) -> Tensor:
        """What float decides of each example."""
        named = inputs if isinstance(inputs, Mapping) else {"": inputs}
        rows = [
            hashlib.blake2b(
                b"".join(x.numpy(force=True).tobytes() for x in one), digest_size=16
            ).digest()
            for one in zip(*named.values(), strict=True)
        ]
        if any(row not in self._known for row in rows):
            with torch.no_grad():
                found = self.kind.decided(self._run(inputs), inputs)
            for row, decided in zip(rows, found, strict=True):
                self._known.setdefault(row, decided)
        chosen = torch.stack([self._known[row] for row in rows])
        while len(self._known) > _KEPT:
            self._known.popitem(last=False)
        return chosen
