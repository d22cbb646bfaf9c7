"""The quantized network as an ONNX file: what the simulation does to each example, in the graph."""

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor, nn

from bitcliff.errors import InputError
from bitcliff.export.rounding import round_literally
from bitcliff.export.solver import solve_literally
from bitcliff.export.to_onnx import add_function, named_inputs, to_model
from bitcliff.points import Attachment
from bitcliff.points.attach import WEIGHTS_ONLY, Incidents, rounding_to
from bitcliff.points.final_activation import to_logits
from bitcliff.points.forward import output_of, take
from bitcliff.policy import LearnedPolicy
from bitcliff.policy.guard import Guard, score_signals
from bitcliff.quant import Scheme
from bitcliff.tasks import Classification, task_of
from bitcliff.types.subject import AllInputs, Inputs

DOMAIN = "bitcliff"
BITS, SCORES, NEEDS_FLOAT = "bits", "scores", "needs_float"
BEFORE, AFTER = "before", "after"
"""With the index of a point in the plan, such as "before.3": names of its values."""

Source = Int[Tensor, " points"] | LearnedPolicy | None
"""Where the bits come from: one allocation for all, a policy network that looks at each example, or
None for a second input "bits" (batch, L), int64."""


def quantized_model(
    attachment: Attachment,
    inputs: AllInputs,
    source: Source = None,
    *,
    observed: bool = False,
    guard: Guard | None = None,
    metadata: Mapping[str, str] | None = None,
) -> Any:
    """An `onnx.ModelProto` that quantizes each example by itself, in batches of any size.

    Its inputs are "input", or one for each keyword, and where `source` is None "bits". It gives
    "scores" (batch, classes), with a policy network also "bits" (batch, L), with a guard also
    "needs_float" (batch,), and if `observed` the values of every point before and after rounding,
    as "before.0", "after.0" and so on.

    Args:
        attachment: the network, its points and how they are rounded. inputs: two examples or more.
        guard: one of signals that the scores show.
        metadata: what the file holds about itself, in its `metadata_props`.

    Raises:
        InputError: the network does something that ONNX has no word for.
    """
    if isinstance(source, LearnedPolicy) and isinstance(inputs, Mapping):
        raise InputError("a learned policy looks at images: this model takes other inputs")
    examples = take(inputs, torch.arange(2))
    traced = _Traced(attachment, examples)
    named = named_inputs(examples)
    names = list(named) if isinstance(examples, Mapping) else None
    if BITS in named:
        raise InputError(f"cannot be exported: its input {BITS!r} has the name of the bit-widths")
    if source is None:
        named[BITS] = torch.full((2, len(attachment.plan)), 8)
    outputs = [SCORES, *([BITS] if isinstance(source, LearnedPolicy) else [])]
    outputs += [NEEDS_FLOAT] if guard is not None else []
    if observed:
        indices = range(len(attachment.plan))
        outputs += [f"{when}.{index}" for index in indices for when in (BEFORE, AFTER)]
    model = to_model(_Quantized(traced, source, names, observed, guard), named, outputs)
    if strays := sorted(traced.incidents.strays):
        raise InputError(
            "cannot be written as ONNX: traced, the network runs otherwise than when its points "
            f"were found: {', '.join(strays[:3])}"
        )
    for name, function in traced.functions.items():
        add_function(model, DOMAIN, name, _body(function.scheme, function.dtype, function.length))
    for key, value in (metadata or {}).items():
        model.metadata_props.add(key=key, value=value)
    return model


def drop_observed(model: Any) -> None:
    """Take the values of the points out of what a model gives: it is then as exported."""
    for output in [*model.graph.output]:
        if output.name.startswith((f"{BEFORE}.", f"{AFTER}.")):
            model.graph.output.remove(output)


class _Rounding(nn.Module):
    """The rounding of a point, to be traced alone: a function of the file that points call."""

    def __init__(self, scheme: Scheme, dtype: torch.dtype, length: int | None) -> None:
        super().__init__()
        self.scheme, self.dtype, self.length = scheme, dtype, length

    @property
    def name(self) -> str:
        """Its name, by what it is for."""
        kind = "" if self.dtype == torch.float32 else f"_{self.dtype}".replace("torch.", "")
        return f"RoundRows{kind}" + ("" if self.length is None else f"_{self.length}")

    def forward(self, *tensors: Tensor) -> Tensor:
        rows, bits = tensors
        return round_literally(rows, bits, self.scheme)


@functools.cache  # writing it takes seconds, and `bitcliff verify` writes several networks
def _body(scheme: Scheme, dtype: torch.dtype, length: int | None) -> Any:
    """The rounding as a model of its own, which is not to be changed."""
    given = {"rows": torch.ones(2, length or 16, dtype=dtype), "bits": torch.full((2,), 8)}
    any_length = ("rows",) if length is None else ()
    return to_model(_Rounding(scheme, dtype, length), given, ("rounded",), any_length)


class _Traced(Attachment):
    """The same attachment with its rounding written out, so that it can be traced."""

    def __init__(self, like: Attachment, examples: Inputs) -> None:
        super().__init__(like.model, like.plan, like.scheme, like.weight_bits, like.per_channel)
        self.final = like.final
        # Rounds the weights once: the graph gets them rounded.
        self.run(examples, WEIGHTS_ONLY)
        self.seen: dict[int, tuple[Tensor, Tensor]] = {}
        self.functions: dict[str, _Rounding] = {}

    def on_forward(self) -> None:
        self.incidents, self.seen = Incidents(), {}
        # While traced, the model holds stand-ins for its parameters.
        self.note_owners()

    def _round(self, rows: Tensor, index: int) -> Tensor:
        assert self.rounding.bits is not None  # noqa: S101  (`_Quantized` gives them)
        flat = rows.reshape(rows.shape[0], -1)
        # The number of values of a row is part of where its percentiles lie.
        length = int(flat.shape[1]) if self.scheme.kind == "percentile" else None
        function = _Rounding(self.scheme, rows.dtype, length)
        self.functions[function.name] = function
        rounded = torch.onnx.ops.symbolic(
            f"{DOMAIN}::{function.name}",
            (flat, self.rounding.bits[:, index]),
            dtype=flat.dtype,
            shape=flat.shape,
            version=1,
        ).reshape(rows.shape)
        self.seen[index] = (rows, rounded)
        return rounded


class _Quantized(nn.Module):
    """From the inputs, in order, to what the file gives."""

    def __init__(
        self,
        attachment: _Traced,
        source: Source,
        names: Sequence[str] | None,
        observed: bool,
        guard: Guard | None,
    ) -> None:
        super().__init__()
        self.model = attachment.model
        self.policy = source.network if isinstance(source, LearnedPolicy) else None
        self.attachment, self.source = attachment, source
        self.names, self.observed, self.guard = names, observed, guard
        self.eval()

    def forward(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        bits = self._bits(tensors)
        attachment = self.attachment
        attachment.rounding = rounding_to(bits)
        with attachment:
            output = output_of(self.model, self._inputs(tensors))
        task = task_of(self.model)
        # What else is read off an output is read outside the file, as it is wherever that runs.
        if isinstance(task, Classification):
            output = task.scores(output, self._inputs(tensors))
        out = [output, *([bits] if self.policy is not None else [])]
        if self.guard is not None:
            scores = to_logits(task.scores(output, self._inputs(tensors)), attachment.final)
            out.append(self.guard.flagged(scores, score_signals(scores)))
        if self.observed:
            out += [x for index in range(len(attachment.plan)) for x in attachment.seen[index]]
        return tuple(out)

    def _inputs(self, tensors: Sequence[Tensor]) -> Inputs:
        if self.names is None:
            return tensors[0]
        return dict(zip(self.names, tensors[: len(self.names)], strict=True))

    def _bits(self, tensors: Sequence[Tensor]) -> Int[Tensor, "batch points"]:
        if self.source is None:
            return tensors[-1]
        if isinstance(self.source, Tensor):
            return self.source.expand(tensors[0].shape[0], -1)
        policy = self.source
        values = policy.network(tensors[0]).softmax(2).nan_to_num(nan=0.0)
        chosen = solve_literally(values, policy.options, policy.total)
        return torch.tensor(policy.options)[chosen]
