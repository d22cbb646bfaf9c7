"""Puts weights into a model they belong to, and says why where they do not."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace

from torch import Tensor, nn

from bitcliff.adapters.optional import quiet
from bitcliff.adapters.weights import Weights
from bitcliff.adapters.wording import one_line
from bitcliff.errors import InputError
from bitcliff.types.options import ModelOptions


def build_fitting(
    build: Callable[[int | None], nn.Module],
    classifier: Callable[[nn.Module], str],
    weights: Weights,
    options: ModelOptions,
    name: str,
) -> nn.Module:
    """Builds a model with as many outputs as its weights have, and loads them strictly.

    Args:
        build: number of outputs (None: the library's own) to a model with random weights.
        classifier: the name of the parameter whose first dimension is the number of outputs.
        name: the model as the user gave it, for errors.

    Raises:
        InputError: the weights are of another architecture.
    """
    module = build(options.num_classes)
    if options.num_classes is None:
        own = module.state_dict().get(classifier(module))
        given = weights.tensors.get(classifier(module))
        if own is not None and given is not None and given.ndim == own.ndim and given.ndim > 0:
            rows = given.shape[0]
            if rows != own.shape[0] and rows > 0 and given.shape[1:] == own.shape[1:]:
                module = build(rows)
    if options.initial == "head":
        weights = _with_new_head(module, classifier(module), weights)
    load_weights(module, weights, name)
    return module


def _with_new_head(module: nn.Module, classifier: str, weights: Weights) -> Weights:
    """The weights, but with the module's own classifier if that has another number of outputs."""
    own, given = module.state_dict(), weights.tensors.get(classifier)
    if given is None or classifier not in own or given.shape[:1] == own[classifier].shape[:1]:
        return weights
    head = (classifier, classifier.removesuffix("weight") + "bias")
    return replace(
        weights, tensors={**weights.tensors, **{key: own[key] for key in head if key in own}}
    )


def load_weights(module: nn.Module, weights: Weights, name: str) -> None:
    """Loads weights into a module; every parameter must be there, of its shape, and no other.

    Left out are only what carries nothing: BatchNorm's batch counter, which old files lack, and the
    second name of a tensor that has two.

    Raises:
        InputError: another architecture; says how many keys differ and names the first.
    """
    own = module.state_dict()
    _check_keys(own, weights, name)
    for key, tensor in weights.tensors.items():
        if tensor.shape != own[key].shape:
            raise InputError(
                f"{weights.path}: does not fit {name}: {key} has shape {_shape(tensor)}, "
                f"the model's has {_shape(own[key])}"
            )
        if tensor.is_floating_point() != own[key].is_floating_point():
            raise InputError(
                f"{weights.path}: does not fit {name}: {key} is {tensor.dtype}, "
                f"the model's is {own[key].dtype}"
            )
    state = OrderedDict(weights.tensors)
    # Some modules refuse weights without the layout version that only .pt files carry.
    state._metadata = own._metadata  # type: ignore[attr-defined]
    try:
        with quiet():
            module.load_state_dict(state, strict=False)
    except Exception as error:
        raise InputError(f"{weights.path}: does not fit {name}: {one_line(error)}") from error


def _check_keys(own: dict[str, Tensor], weights: Weights, name: str) -> None:
    present = {own[key].data_ptr() for key in weights.tensors if key in own and own[key].numel()}
    missing = [
        key
        for key, tensor in own.items()
        if key not in weights.tensors
        and not key.endswith("num_batches_tracked")
        and not (tensor.numel() and tensor.data_ptr() in present)
    ]
    unexpected = [key for key in weights.tensors if key not in own]
    if missing or unexpected:
        raise InputError(
            f"{weights.path}: weights of another architecture than {name}: "
            f"{_counted(missing, 'missing')}, {_counted(unexpected, 'unexpected')}"
        )


def _counted(keys: list[str], what: str) -> str:
    first = f" (first: {keys[0]})" if keys else ""
    return f"{len(keys)} keys {what}{first}"


def _shape(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape)) or "()"
