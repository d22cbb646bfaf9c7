"""`py:package.module:factory`: a model that the user's own code builds."""

from torch import nn

from bitcliff.adapters.assembly import make_subject
from bitcliff.adapters.fitting import load_weights
from bitcliff.adapters.preprocessing import override
from bitcliff.adapters.user_code import called, find_object
from bitcliff.adapters.weights import Weights
from bitcliff.errors import InputError
from bitcliff.types.options import ModelOptions
from bitcliff.types.subject import Subject


def load_python(name: str, weights: Weights | None, options: ModelOptions) -> Subject:
    """Imports the user's module and takes an nn.Module from it. Runs the user's own code.

    Args:
        name: "package.module:factory"; the factory is a callable without arguments that gives an
            nn.Module, or an nn.Module itself.

    Raises:
        InputError: not found, raises, or gives something else; the text has the exception's own.
    """
    spec = f"py:{name}"
    if options.num_classes is not None:
        raise InputError(f"--num-classes does not apply to {spec}: its own code decides")
    module = _module_from(name, spec)
    if weights is not None:
        load_weights(module, weights, spec)
    return make_subject(spec, module, override(None, options), weights, runs_user_code=True)


def _module_from(name: str, spec: str) -> nn.Module:
    found, attribute = find_object(name, spec), name.partition(":")[2]
    if not isinstance(found, nn.Module):
        if not callable(found):
            raise InputError(f"{spec}: {attribute} is a {type(found).__name__}, not a callable")
        found = called(found, f"{attribute}()", spec)
    if not isinstance(found, nn.Module):
        raise InputError(f"{spec}: {attribute} gave {type(found).__name__}, not an nn.Module")
    return found
