"""Two collapses that users of PyTorch reported, rebuilt on a network trained here.

    python experiments/known_collapses.py [--model base-digits] [--data digits] [--weights FILE]
        [--examples N] [--engines x86,qnnpack] [--compile]

pytorch/pytorch#70480 (2021, open): `quantize_dynamic` of ResNet18 with its convolutions, accuracy
on ImageNet drops to 0; ten convolutions kept in float bring it back, and two of them half of it.
PyTorch has since left convolutions out by default; here they are asked for by name.

pytorch/ao#4292 (2026, closed): ResNet18 on Fashion-MNIST through `prepare_pt2e` and
`convert_pt2e` with the X86InductorQuantizer's dynamic configuration, accuracy from 0.906 to 0.100;
with its static one, and a calibration, it stays. Dynamic quantization needs no calibration, so
nothing passes between the two calls; but the observers of the weights wait for a pass, too.
Without one every weight is rounded with a step of 1.

Prints a table: correct predictions in float and quantized, with 95 % intervals, where the second
fault is simulated, and for the first what each convolution does by itself, in PyTorch and
simulated.
"""

import argparse
import copy
import warnings
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn

from bitcliff.adapters import load_examples, load_model
from bitcliff.audit import AssessSettings
from bitcliff.audit.prepare import prepare
from bitcliff.points.fold import fold_batchnorm
from bitcliff.questions.context import Side
from bitcliff.questions.layers.cells import curves
from bitcliff.questions.layers.observe import run_cells
from bitcliff.questions.layers.statistics import inflection_points, large_steps
from bitcliff.stats import rate
from bitcliff.types.rate import Rate
from bitcliff.types.subject import Examples, Subject

_SAME = 1e-4
_BATCH = 100


def convolutions_of(module: nn.Module) -> list[str]:
    """Their names, in the order of the modules."""
    return [name for name, one in module.named_modules() if isinstance(one, nn.Conv2d)]


def dynamic_convolutions(module: nn.Module, names: Collection[str]) -> nn.Module:
    """A copy whose convolutions of these names are PyTorch's dynamic ones (pytorch#70480)."""
    with _quietly():
        import torch.ao.nn.quantized.dynamic as dynamic
        from torch.ao.quantization import default_dynamic_qconfig, quantize_dynamic

        layers = dict.fromkeys(names, default_dynamic_qconfig)
        mapping = {nn.Conv2d: dynamic.Conv2d}
        made: nn.Module = quantize_dynamic(copy.deepcopy(module), layers, mapping=mapping)
    return made


def exported_dynamic(module: nn.Module, inputs: Tensor, passed: bool) -> Callable[[Tensor], Tensor]:
    """The network as PT2E quantizes it dynamically (ao#4292); takes batches of this size alone.

    Args:
        passed: whether the prepared network sees these inputs before it is converted.
    """
    with _quietly():
        from torchao.quantization.pt2e import move_exported_model_to_eval
        from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e
        from torchao.quantization.pt2e.quantizer import x86_inductor_quantizer as x86

        quantizer = x86.X86InductorQuantizer()
        quantizer.set_global(x86.get_default_x86_inductor_quantization_config(is_dynamic=True))
        prepared = prepare_pt2e(torch.export.export(module, (inputs,)).module(), quantizer)
        if passed:
            prepared(inputs)
        made: nn.Module = convert_pt2e(prepared)
        move_exported_model_to_eval(made)
    return made


def with_vanished_weights(module: nn.Module, inputs: Tensor) -> nn.Module:
    """A copy with BatchNorm folded and every weight rounded with a step of 1: ao#4292's fault."""
    made, _ = fold_batchnorm(module, inputs)
    for one in made.modules():
        if isinstance(one, nn.Conv2d | nn.Linear):
            one.weight.data = one.weight.data.round().clamp(-128, 127)
    return made


class FaultyConvolution(nn.Module):
    """A convolution with the fault of PyTorch's dynamic one, as long as its input is quantized.

    That one rounds its output to the scale and zero point of its input, although the two have
    nothing to do with each other: after a ReLU whatever is negative becomes zero. In float it is
    the convolution that it was made from. That the input was rounded shows in the result, which is
    no more that of the input.
    """

    def __init__(self, convolution: nn.Conv2d) -> None:
        super().__init__()
        self.convolution = convolution

    def forward(self, x: Tensor) -> Tensor:
        own = self.convolution
        result = own(x)
        # Not a call that is watched: nothing rounds its input.
        pad, step = own.padding, own.stride
        plain = torch.ops.aten.conv2d(x, own.weight, own.bias, step, pad, own.dilation, own.groups)
        gap = (result - plain).abs().flatten(1).amax(1)
        rounded = gap > _SAME * plain.abs().flatten(1).amax(1)
        return torch.where(rounded[:, None, None, None], onto_grid_of(x, result), result)


def onto_grid_of(x: Tensor, values: Tensor, bits: int = 8, reduced: int = 7) -> Tensor:
    """Values on the grid that a batch of one `x` is quantized with, of `reduced` bits' step."""
    low = x.flatten(1).amin(1).clamp(max=0)[:, None, None, None]
    high = x.flatten(1).amax(1).clamp(min=0)[:, None, None, None]
    scale = ((high - low) / (2**reduced - 1)).clamp(min=1e-12)
    zero = (-low / scale).round()
    steps = ((values / scale).round() + zero).clamp(0, 2**bits - 1)
    moved: Tensor = (steps - zero) * scale
    return moved


def with_fault(module: nn.Module) -> nn.Module:
    """A copy whose convolutions are faulty."""
    made = copy.deepcopy(module)
    for name in convolutions_of(made):
        made.set_submodule(name, FaultyConvolution(made.get_submodule(name)))  # type: ignore[arg-type]
    return made.eval()


def correct_predictions(run: Callable[[Tensor], Tensor], examples: Examples, batch: int) -> Rate:
    """How many predictions are the labels; whole batches alone are asked."""
    assert isinstance(examples.inputs, Tensor)  # noqa: S101
    assert examples.labels is not None  # noqa: S101
    whole = len(examples) // batch * batch
    with torch.no_grad(), _quietly():
        scores = torch.cat([run(part) for part in examples.inputs[:whole].split(batch)])
    return rate(int((scores.argmax(1) == examples.labels[:whole]).sum()), whole)


def simulated(subject: Subject, examples: Examples) -> tuple[dict[str, Rate], list[str]]:
    """A faulty network swept at eight bits, as `bitcliff explain` sweeps the layers of a run.

    Returns:
        By point the correct predictions with that point alone quantized, and "all"; and the
        points that the sweep names as those that break it, inflection points.
    """
    settings = AssessSettings(uniform=(), weight_bits=None)
    prepared = prepare(subject, examples, settings)
    bits = torch.full((len(examples), len(prepared.points)), 8)
    side = Side("test", prepared, {"uniform-8": bits})
    outcomes, _, _ = run_cells(side, bits, lambda _done, _whole: None)
    ways = curves(len(prepared.points))
    names = [point.name for point in prepared.points.points]
    found = {name: outcomes.right(cell) for name, cell in zip(names, ways.single, strict=True)}
    named = [names[index] for index in inflection_points(large_steps(outcomes))]
    return {**found, "all": outcomes.right(outcomes.everything)}, named


@contextmanager
def _quietly() -> Iterator[None]:
    """What is tried here is deprecated, and warns of it at every step."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _line(name: str, found: Rate) -> str:
    low, high = 100 * (found.low or 0), 100 * (found.high or 0)
    return f"| {name} | {found.k} of {found.n} | {low:.1f} to {high:.1f} % |"


def main() -> None:
    """Rebuild both and print what comes out."""
    given = _arguments()
    subject = load_model(given.model, weights=given.weights)
    examples = load_examples(given.data, subject=subject, limit=given.examples or None, seed=0)
    network, names = subject.module, convolutions_of(subject.module)
    print("| network | right | 95 % |")
    print("|---|---|---|")
    print(_line("float", correct_predictions(network, examples, 1)))
    default = dynamic_convolutions(network, ())
    print(_line("#70480: quantize_dynamic as it is", correct_predictions(default, examples, 1)))
    for engine in given.engines.split(","):
        torch.backends.quantized.engine = engine
        collapsed = dynamic_convolutions(network, names)
        name = f"#70480: with convolutions, {engine}"
        print(_line(name, correct_predictions(collapsed, examples, 1)))
    assert isinstance(examples.inputs, Tensor)  # noqa: S101
    batch = min(_BATCH, len(examples))
    for passed, what in ((False, "as reported"), (True, "with a pass before the conversion")):
        exported = exported_dynamic(network, examples.inputs[:batch], passed)
        print(_line(f"#4292: PT2E, {what}", correct_predictions(exported, examples, batch)))
        if given.compile:
            compiled = torch.compile(exported)
            found = correct_predictions(compiled, examples, batch)
            print(_line(f"#4292: PT2E, {what}, compiled", found))
    vanished = with_vanished_weights(network, examples.inputs)
    print(_line("#4292: its fault simulated", correct_predictions(vanished, examples, batch)))
    _print_layers(subject, examples, names, given.engines.split(",")[0])


def _print_layers(subject: Subject, examples: Examples, names: list[str], engine: str) -> None:
    torch.backends.quantized.engine = engine
    found, named = simulated(replace(subject, module=with_fault(subject.module)), examples)
    print(f"\nThe fault simulated, all convolutions: {found['all'].k} of {found['all'].n} right.")
    print(f"`explain` names {', '.join(named) or 'none'}.")
    kept = {name.removesuffix(".convolution") for name in named}
    for what, left in (("the first one", {names[0]}), ("the first and those", {names[0]} | kept)):
        rest = [name for name in names if name not in left]
        found_rest = correct_predictions(dynamic_convolutions(subject.module, rest), examples, 1)
        print(f"PyTorch with {what} in float: {found_rest.k} of {found_rest.n} right.")
    print("\n| the only dynamic convolution | right, PyTorch | right, simulated |")
    print("|---|---|---|")
    for name in names:
        alone = correct_predictions(dynamic_convolutions(subject.module, [name]), examples, 1)
        shown = found.get(f"{name}.convolution")
        print(f"| {name} | {alone.k} | {'not a point' if shown is None else shown.k} |")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="base-digits")
    parser.add_argument("--data", default="digits")
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--examples", type=int, default=0, help="0: all")
    parser.add_argument("--engines", default="x86,qnnpack", help="of torch.backends.quantized")
    parser.add_argument("--compile", action="store_true", help="takes minutes and a C++ compiler")
    return parser.parse_args()


if __name__ == "__main__":
    main()
