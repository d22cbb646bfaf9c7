"""A context in which a model runs quantized under a policy, and after which it is as it was."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from bitcliff.errors import BitcliffError, NumericError
from bitcliff.points import Attachment, Plan
from bitcliff.points.attach import FLOAT, rounding_to
from bitcliff.points.forward import batch_size
from bitcliff.policy import Batch, Policy
from bitcliff.types.subject import Inputs


@contextmanager
def quantized(
    model: nn.Module,
    policy: Policy,
    plan: Plan,
    *,
    scheme: str = "onnx",
    weight_bits: int | None = 16,
    per_channel: bool = False,
) -> Iterator[Attachment]:
    """Inside, every call of `model` is quantized as `policy` says.

    Args:
        model: in eval mode; only its calls change, never the model itself.
        policy: gives bits at the plan's points; sees each call's inputs, numbered on from call to
            call in the order in which they come.
        plan: the points, from `bitcliff.points.discover(model, inputs)`.
        scheme, weight_bits, per_channel: as in `Audit`.

    Raises:
        BitcliffError: the policy and the plan are of different length.
        NumericError: on leaving, if activations held NaN or infinity; names point and examples.
        BitcliffError: on leaving, if the model made calls that are not in the plan.
    """
    if policy.points != len(plan):
        raise BitcliffError(f"the policy has {policy.points} points, the plan {len(plan)}")
    attachment = _Following(model, plan, policy, scheme, weight_bits, per_channel)
    hook = model.register_forward_pre_hook(attachment.choose, with_kwargs=True)
    try:
        with attachment:
            yield attachment
    finally:
        hook.remove()
    if strays := sorted(attachment.incidents.strays):
        raise BitcliffError(
            f"the model ran otherwise than when its points were found, so not all of it was "
            f"quantized: {', '.join(strays[:3])}; discover the points on such inputs"
        )
    if attachment.broken:
        point, examples = next(iter(attachment.broken.items()))
        raise NumericError(f"NaN or infinity at {point}, examples {examples}")


class _Following(Attachment):
    """An attachment that asks the policy at the start of every forward pass."""

    def __init__(self, model: nn.Module, plan: Plan, policy: Policy, *how: Any) -> None:
        super().__init__(model, plan, *how)
        self.policy = policy
        self.seen = 0
        self.broken: dict[str, list[int]] = {}
        self._last = 0

    def choose(self, _model: nn.Module, args: Any, kwargs: Any) -> None:
        """Before each call: note what failed in the last one, and take the policy's bits."""
        self._collect()
        inputs = _inputs(args, kwargs)
        index = torch.arange(self.seen, self.seen + batch_size(inputs))
        self._last, self.seen = self.seen, self.seen + len(index)
        self.rounding = FLOAT
        with self.paused():
            bits: Tensor = self.policy(Batch(inputs, index))
        self.rounding = rounding_to(bits)

    def on_forward(self) -> None:
        """Failures are collected over calls, not dropped at the next."""

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)
        self._collect()

    def _collect(self) -> None:
        for row, point in self.incidents.failed.items():
            self.broken.setdefault(point, []).append(self._last + row)
        self.incidents.failed = {}


def _inputs(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Inputs:
    """The tensors of a call: the first positional one, else all that have a name."""
    first = next((value for value in args if isinstance(value, Tensor)), None)
    if first is not None:
        return first
    named = {name: value for name, value in kwargs.items() if isinstance(value, Tensor)}
    if not named:
        raise BitcliffError("a quantized model must be called with tensors")
    return named
