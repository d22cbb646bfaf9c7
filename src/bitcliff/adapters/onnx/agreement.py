"""Whether the network that was built of an ONNX file gives the outputs of ONNX Runtime."""

from dataclasses import dataclass, replace
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn

from bitcliff.adapters.black_box.onnx_file import open_onnx
from bitcliff.adapters.black_box.outputs import Form, Opened, checked
from bitcliff.adapters.black_box.settings import BlackBoxSettings
from bitcliff.adapters.onnx.build import build_network
from bitcliff.adapters.onnx.file import OnnxFile, read_onnx
from bitcliff.adapters.onnx.network import fixed_batch_advice
from bitcliff.adapters.optional import quiet, require
from bitcliff.adapters.runtimes.session import fed, open_session
from bitcliff.adapters.wording import one_line, told_of
from bitcliff.errors import InputError
from bitcliff.points.forward import batch_size, logits_of, take
from bitcliff.points.outputs import examples_first, moved_of
from bitcliff.tasks import task_of
from bitcliff.types.subject import AllInputs, Inputs

EXAMPLES = 64
# Of the spread of the outputs. Kernels add in other orders, which is far less than this.
TOLERANCE = 1e-3
_A_TIE = 1e-5
_BATCH = 8

Scores = Float[Tensor, "n classes"]


@dataclass(frozen=True)
class Agreement:
    """Attributes: on how many examples; the largest difference, as a share of the spread."""

    examples: int
    largest: float


def check_agreement(
    spec: str, network: nn.Module, inputs: AllInputs, output: str | None = None
) -> Agreement:
    """Compares the first examples' outputs with ONNX Runtime's on the file itself.

    Args:
        network: built of the file; its own first pass comes first, so that ONNX Runtime is given
            only files that passed. output: the file's that the network gives.

    Raises:
        InputError: another class for any example, or scores further off than `TOLERANCE`; the text
            names the first node that computes otherwise. Or a node fails, or ONNX Runtime does.
    """
    given = _first(inputs, EXAMPLES)
    count = batch_size(given)
    ours = _ask(spec, network, given, None)
    opened = _judged(open_onnx(spec, BlackBoxSettings(output=output), images=False), network)
    theirs = checked(spec, opened, Form(None), _BATCH)(given)
    largest, changed = _difference(ours, theirs), int(_other_class(ours, theirs).sum())
    if largest <= TOLERANCE and not changed:
        return Agreement(count, largest)
    file = read_onnx(Path(spec))
    if opened.batch and _difference(_ask(spec, network, given, opened.batch), theirs) <= TOLERANCE:
        raise InputError(f"{spec}: {fixed_batch_advice(opened.batch)}")
    raise InputError(
        f"{spec}: the network built of it gives other outputs than ONNX Runtime ({changed} of "
        f"{count} examples change class, scores differ by {100 * largest:.2g} % of their "
        f"spread): {_where(file, _first(given, opened.batch or 1))}"
    )


def _judged(opened: Opened, network: nn.Module) -> Opened:
    """By the network's task."""
    task, moved = task_of(network), moved_of(network)

    def predict(part: Inputs) -> Tensor:
        return task.scores(examples_first(opened.predict(part), moved), part)

    return replace(opened, predict=predict)


def _first(inputs: AllInputs, most: int) -> Inputs:
    return take(inputs, torch.arange(min(most, batch_size(inputs))))


def _ask(spec: str, network: nn.Module, given: Inputs, batch: int | None) -> Scores:
    """All outputs; `batch` is the only number of examples that the file knows."""

    def predict(part: Inputs) -> Tensor:
        with torch.no_grad(), quiet():
            return logits_of(network, part)

    opened = Opened("", predict, batch=batch)
    try:
        outputs = checked(spec, opened, Form(None), _BATCH)(given)
        if outputs.ndim != 2:
            raise InputError("gives classes, not scores for each; export it without the choice")
        return outputs
    except InputError as error:
        raise InputError(told_of(spec, error)) from error


def _difference(ours: Scores, theirs: Tensor) -> float:
    """The largest, as a share of all scores' spread."""
    if ours.shape != theirs.shape:
        return float("inf")
    spread = float(theirs.max() - theirs.min())
    gap = float((ours - theirs).abs().max())
    return gap / spread if spread else float(gap > 0)


def _other_class(ours: Scores, theirs: Tensor) -> Tensor:
    """Where the largest score is another's, and ONNX Runtime's own are no tie."""
    if ours.shape != theirs.shape:
        return torch.ones(len(theirs), dtype=torch.bool)
    chosen = theirs.gather(1, ours.argmax(1, keepdim=True))[:, 0]
    spread = theirs.max() - theirs.min()
    return (ours.argmax(1) != theirs.argmax(1)) & (theirs.amax(1) - chosen > _A_TIE * spread)


def _where(file: OnnxFile, given: Inputs) -> str:
    """The first node that gives otherwise, by ONNX Runtime with all its values exposed."""
    try:
        theirs = _all_values(file, given)
    except Exception as error:  # noqa: BLE001  (it only explains a refusal that stands anyway)
        return f"where is not known ({one_line(error)})"
    network = build_network(file, fold=False)
    inputs = (given,) if isinstance(given, Tensor) else network.in_order(given)
    with torch.no_grad(), quiet():
        for step, values in network.values(*inputs):
            for name, value in zip(step.outputs, values, strict=False):
                if name in theirs and _differs(value, theirs[name]):
                    return f"{step.title} is the first that differs"
    return "no single node differs by as much"


def _all_values(file: OnnxFile, given: Inputs) -> dict[str, Tensor]:
    onnx = require("onnx", "onnx", str(file.path))
    runtime = require("onnxruntime", "onnx", str(file.path))
    model = onnx.ModelProto()
    model.CopyFrom(file.model)
    onnx.load_external_data_for_model(model, str(file.path.parent))
    names = list(dict.fromkeys(name for node in model.graph.node for name in node.output if name))
    del model.graph.output[:]
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    with quiet():
        session = open_session(runtime, model.SerializeToString(), optimized=False)
        named = {session.get_inputs()[0].name: given} if isinstance(given, Tensor) else given
        values = session.run(names, fed(session, named))
    return {name: torch.as_tensor(value) for name, value in zip(names, values, strict=True)}


def _differs(value: Tensor, reference: Tensor) -> bool:
    if value.shape != reference.shape or not value.numel():
        return value.shape != reference.shape
    ours, theirs = value.double(), reference.double()
    finite = torch.isfinite(theirs)
    if not torch.equal(ours[~finite].nan_to_num(), theirs[~finite].nan_to_num()):
        return True
    ours, theirs = ours[finite], theirs[finite]
    if not theirs.numel():
        return False
    scale = max(float(theirs.max() - theirs.min()), float(theirs.abs().max()))
    return float((ours - theirs).abs().max()) > TOLERANCE * scale
