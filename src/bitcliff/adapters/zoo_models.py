"""Bitcliff's own small networks by name, new or with given weights."""

from collections.abc import Callable

from torch import nn

from bitcliff.adapters.assembly import make_subject
from bitcliff.adapters.fitting import load_weights
from bitcliff.adapters.weights import Weights, read_weights
from bitcliff.errors import InputError, nearest
from bitcliff.types.options import ModelOptions
from bitcliff.types.subject import Subject
from bitcliff.zoo.resnet import digits, fashion_mnist
from bitcliff.zoo.shipped import SHIPPED
from bitcliff.zoo.thin import thin_mobilenetv4, thin_regnetx

_NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "digits": digits,
    "fashion-mnist": fashion_mnist,
    "thin-mobilenetv4": thin_mobilenetv4,
    "thin-regnetx": thin_regnetx,
}

_TEN = (None, 10)
_SETTLED = sorted({*ModelOptions.model_fields} - {"num_classes", "initial", "task"})


def load_zoo(name: str, weights: Weights | None, options: ModelOptions) -> Subject:
    """`zoo:digits` and the like: thin networks for grey images, taken as they are."""
    if name not in _NETWORKS:
        raise InputError(
            f"MODEL zoo:{name}: not known{nearest(name, _NETWORKS)}; give zoo:"
            + " or zoo:".join(_NETWORKS)
        )
    return _load(f"zoo:{name}", name, weights, options)


def load_shipped(name: str, weights: Weights | None, options: ModelOptions) -> Subject:
    """A network of the zoo with the weights that Bitcliff ships."""
    shipped = SHIPPED[name]
    if weights is not None:
        raise InputError(
            f"--weights {weights.path}: {name} has its own weights; "
            f"give zoo:{shipped.architecture} for others"
        )
    return _load(name, shipped.architecture, read_weights(shipped.weights), options)


def _load(name: str, architecture: str, weights: Weights | None, options: ModelOptions) -> Subject:
    # What a decision is may be asked of any network; how this one is built and fed is settled.
    usual = options.model_copy(update=dict.fromkeys(_SETTLED))
    if options != usual or options.num_classes not in _TEN:
        given = [one for one in _SETTLED if getattr(options, one) is not None] or ["num_classes"]
        names = ", ".join(f"--{one.replace('_', '-')}" for one in given)
        raise InputError(f"MODEL {name}: takes no {names}: ten classes, images as they are")
    module = _NETWORKS[architecture]()
    if weights is not None:
        load_weights(module, weights, name)
    return make_subject(name, module, None, weights)
