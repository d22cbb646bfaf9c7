"""BatchNorm folded into the convolution or linear layer before it, as runtimes do at load."""

import copy
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd
from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_linear_bn_eval
from torch.utils._pytree import tree_leaves

from bitcliff.errors import InputError
from bitcliff.points.forward import output_of, take
from bitcliff.points.operations import COMPUTE, Function, Operation
from bitcliff.points.trace import check_eval
from bitcliff.points.walk import Walk, operand
from bitcliff.types.subject import AllInputs

_NORMALIZE = (F.batch_norm, torch.batch_norm)
# What only asks how a tensor is made, so that its values go nowhere.
_QUESTIONS = {
    Tensor.dim,
    Tensor.element_size,
    Tensor.is_floating_point,
    Tensor.numel,
    Tensor.size,
    Tensor.stride,
    Tensor.untyped_storage,
}


def fold_batchnorm(model: nn.Module, inputs: AllInputs) -> tuple[nn.Module, tuple[str, ...]]:
    """A copy of `model` without the BatchNorms that can be folded, and the names of those.

    A BatchNorm is folded if its input is what a convolution or linear layer gives, each of the two
    runs once a pass, the layer with its own weight and bias, and nothing else takes that layer's
    output. One pass over one example shows it.

    Raises:
        InputError: training mode.
    """
    check_eval(model)
    try:
        folded = copy.deepcopy(model)
    except Exception as error:
        raise InputError(
            f"--fold-batchnorm: the model cannot be copied ({type(error).__name__}: {error}); "
            "leave it out"
        ) from error
    names = {id(module): name for name, module in folded.named_modules()}
    with _biases_everywhere(folded):
        consumers = _Consumers(folded)
        with torch.no_grad(), consumers:
            output = output_of(folded, take(inputs, torch.tensor([0])))
        consumers.use([output])
    pairs = [(names[id(layer)], names[id(norm)]) for layer, norm in consumers.pairs()]
    for layer, norm in pairs:
        _fold(folded, layer, norm)
    return folded, tuple(norm for _, norm in pairs)


@contextmanager
def _biases_everywhere(model: nn.Module) -> Iterator[None]:
    """Zeros for layers without a bias: one whose code takes none would lose what folding adds."""
    layers = [m for m in model.modules() if isinstance(m, nn.Linear | _ConvNd)]
    bare = [layer for layer in layers if layer._parameters.get("bias", layer) is None]
    for layer in bare:
        channels = layer.out_features if isinstance(layer, nn.Linear) else layer.out_channels
        layer.bias = nn.Parameter(layer.weight.new_zeros(channels))
    yield
    for layer in bare:
        layer.bias = None


class _Consumers(Walk):
    """Notes which module made each convolution's output, and who took it."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__(model, COMPUTE)
        # Under one name only: what has two would be replaced under one of them.
        found = [module for _, module in model.named_modules(remove_duplicate=False)]
        times = Counter(map(id, found))
        self._modules = {id(module): module for module in found if times[id(module)] == 1}
        # By the id of the output, which is kept alive: who made it.
        self._made: dict[int, tuple[Tensor, nn.Module]] = {}
        self._normalized: dict[int, nn.Module] = {}
        self._uses: Counter[int] = Counter()
        self._runs: Counter[int] = Counter()

    def on_call(
        self, site: str, function: Function, operation: Operation, args: Any, kwargs: Any
    ) -> Any:
        self.use((args, kwargs))
        result = function(*args, **kwargs)
        layer = self._modules.get(self._stack[-1][0])
        weight = operand(operation, "weight", args, kwargs) if "weight" in operation.roles else None
        bias = args[2] if len(args) > 2 else kwargs.get("bias")
        # A layer that works its weights out anew in each pass would not keep the folded ones.
        if layer is not None and weight is not None and _owns(layer, weight=weight, bias=bias):
            self._made[id(result)] = (result, layer)
            self._runs[id(layer)] += 1
        return result

    def on_other(self, function: Function, args: Any, kwargs: Any) -> Any:
        result = function(*args, **kwargs)
        if function in _QUESTIONS or (function.__name__ == "__get__" and not _tensors(result)):
            return result
        self.use((args, kwargs))
        norm = self._modules.get(self._stack[-1][0])
        given = args[0] if args else kwargs.get("input")
        if function in _NORMALIZE and norm is not None:
            self._runs[id(norm)] += 1
            if id(given) in self._made:
                self._normalized[id(given)] = norm
        return result

    def use(self, values: Any) -> None:
        """Someone takes these tensors."""
        # Of others nothing keeps the id from being given out again.
        self._uses.update({id(tensor) for tensor in _tensors(values)} & self._made.keys())

    def pairs(self) -> list[tuple[nn.Module, nn.Module]]:
        """Layers with the BatchNorm behind them, that can be one."""
        return [
            (layer, self._normalized[made])
            for made, (output, layer) in self._made.items()
            if made in self._normalized
            and self._uses[made] == 1
            and self._runs[id(layer)] == self._runs[id(self._normalized[made])] == 1
            and _fits(layer, self._normalized[made], output)
        ]


def _owns(layer: nn.Module, **parameters: Tensor | None) -> bool:
    return all(layer._parameters.get(name) is given for name, given in parameters.items())


def _tensors(values: Any) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(values) if isinstance(leaf, Tensor)]


def _fits(layer: nn.Module, norm: nn.Module, output: Tensor) -> bool:
    if not isinstance(norm, _BatchNorm) or norm.running_mean is None or norm.running_var is None:
        return False
    if _after(norm) is None:
        return False
    if isinstance(layer, nn.Linear):
        return output.ndim == 2  # with more axes, BatchNorm is over another than the features
    # Scales of a grouped transposed convolution lie otherwise than torch's folding takes them.
    return isinstance(layer, _ConvNd) and not (
        isinstance(layer, _ConvTransposeNd) and layer.groups > 1
    )


def _after(norm: nn.Module) -> nn.Module | None:
    """What a BatchNorm still does once folded; None where that is not known."""
    if type(norm).forward is _BatchNorm.forward:
        return nn.Identity()
    if type(norm).__name__ == "BatchNormAct2d":  # timm's, with an activation of its own
        parts: Iterable[Any] = (getattr(norm, "drop", None), getattr(norm, "act", None))
        if all(isinstance(part, nn.Module) for part in parts):
            return nn.Sequential(*parts)
    return None


def _fold(model: nn.Module, layer_name: str, norm_name: str) -> None:
    layer: Any = model.get_submodule(layer_name)
    norm: Any = model.get_submodule(norm_name)
    with torch.no_grad():
        if isinstance(layer, nn.Linear):
            fused: nn.Module = fuse_linear_bn_eval(layer, norm)
        else:
            fused = fuse_conv_bn_eval(layer, norm, transpose=isinstance(layer, _ConvTransposeNd))
    for name, module in ((layer_name, fused), (norm_name, _after(norm))):
        outer, _, last = name.rpartition(".")
        setattr(model.get_submodule(outer), last, module and module.eval())
