"""Whether the network that was built of an ONNX file gives the outputs of ONNX Runtime."""

import math
from collections.abc import Callable
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
from bitcliff.points.forward import batch_size, output_of, take
from bitcliff.points.outputs import examples_first, moved_of
from bitcliff.tasks import task_of
from bitcliff.types.subject import AllInputs, Inputs

EXAMPLES = 64
# Of the spread of the outputs. Kernels add in other orders, which is far less than this.
TOLERANCE = 1e-3
_A_TIE = 1e-5
_BATCH = 8

Scores = Float[Tensor, "n classes"]
_Ask = Callable[[Inputs], Tensor]


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
    ours = _outputs(spec, network, None)
    _asked(spec, ours, network, _first(given, 1))
    opened = open_onnx(spec, BlackBoxSettings(output=output), images=False)
    moved = moved_of(network)

    def predict(part: Inputs) -> Tensor:
        return examples_first(opened.predict(part), moved)

    theirs = checked(spec, replace(opened, predict=predict), _any_form(), _BATCH)
    gaps = _gaps(spec, network, given, ours, theirs)
    if gaps.agree:
        return Agreement(count, gaps.largest)
    file = read_onnx(Path(spec))
    if opened.batch:
        alike = _outputs(spec, network, opened.batch)
        if _gaps(spec, network, given, alike, theirs).largest <= TOLERANCE:
            raise InputError(f"{spec}: {fixed_batch_advice(opened.batch)}")
    raise InputError(
        f"{spec}: the network built of it gives other outputs than ONNX Runtime ({gaps.changed} of "
        f"{count} examples change class, scores differ by {100 * gaps.largest:.2g} % of their "
        f"spread): {_where(file, _first(given, opened.batch or 1))}"
    )


@dataclass(frozen=True)
class _Gap:
    """Between numbers that two gave: the largest, and the ends of theirs."""

    largest: float = 0.0
    least: float = math.inf
    most: float = -math.inf

    def with_(self, ours: Tensor, theirs: Tensor) -> "_Gap":
        if ours.shape != theirs.shape:
            return _Gap(math.inf, 0.0, 1.0)
        # Infinities that both gave are alike; other ones are as far apart as can be.
        apart = torch.where(ours == theirs, 0.0, ours - theirs).abs().nan_to_num(nan=math.inf)
        finite = torch.where(torch.isfinite(theirs), theirs, 0.0)
        return _Gap(
            max(self.largest, float(apart.max())),
            min(self.least, float(finite.min())),
            max(self.most, float(finite.max())),
        )

    @property
    def of_spread(self) -> float:
        spread = self.most - self.least
        return self.largest / spread if spread else float(self.largest > 0)


@dataclass(frozen=True)
class _Gaps:
    """Of what the networks give and of their scores; how many examples are decided otherwise.

    Scores may be logarithms, which tell apart a hundred-millionth and nothing, and be nearly the
    same for all examples; what the network gives may be large numbers beside small ones. Where
    kernels add in other orders, one of the two hardly differs, and no decision.
    """

    given: _Gap
    scores: _Gap
    changed: int

    @property
    def largest(self) -> float:
        return min(self.given.of_spread, self.scores.of_spread)

    @property
    def agree(self) -> bool:
        return self.largest <= TOLERANCE and not self.changed


def _gaps(spec: str, network: nn.Module, inputs: Inputs, ours: _Ask, theirs: _Ask) -> _Gaps:
    """In parts, as all that a network gives may be much."""
    task, given, decided = task_of(network), _Gap(), list[tuple[Tensor, Tensor]]()
    for rows in torch.arange(batch_size(inputs)).split(_BATCH):
        part = take(inputs, rows)
        one, two = _asked(spec, ours, network, part), theirs(part)
        given = given.with_(one, two)
        decided.append((task.scores(one, part), task.scores(two, part)))
    one, two = (torch.cat(scores) for scores in zip(*decided, strict=True))
    return _Gaps(given, _Gap().with_(one, two), int(_other_class(one, two).sum()))


def _first(inputs: AllInputs, most: int) -> Inputs:
    return take(inputs, torch.arange(min(most, batch_size(inputs))))


def _outputs(spec: str, network: nn.Module, batch: int | None) -> _Ask:
    """What the network gives; `batch` is the only number of examples that the file knows."""

    def predict(part: Inputs) -> Tensor:
        with torch.no_grad(), quiet():
            return output_of(network, part)

    return checked(spec, Opened("", predict, batch=batch), _any_form(), _BATCH)


def _any_form() -> Form:
    return Form(None, of_any_task=True)


def _asked(spec: str, ask: _Ask, network: nn.Module, part: Inputs) -> Tensor:
    """What the network gives for these, of which its task makes scores.

    Raises:
        InputError: it gives no numbers, or none of its task.
    """
    try:
        output = ask(part)
        task_of(network).scores(output, part)
    except InputError as error:
        raise InputError(told_of(spec, error)) from error
    return output


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
