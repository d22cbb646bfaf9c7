"""`call:package.module:function`: a function of the user's own."""

import torch
from torch import Tensor

from bitcliff.adapters.black_box.outputs import NoOutput, Opened
from bitcliff.adapters.black_box.settings import BlackBoxSettings
from bitcliff.adapters.optional import quiet
from bitcliff.adapters.user_code import described, find_object
from bitcliff.errors import InputError
from bitcliff.types.black_box import Images


def open_call(spec: str, settings: BlackBoxSettings) -> Opened:
    """Imports the user's function. Runs the user's own code.

    It gets a float32 numpy array (batch, *rest), its own to write in, and gives anything that
    torch.as_tensor takes: an array, a tensor, nested lists.

    Raises:
        InputError: not found, or not a callable.
    """
    name = spec.removeprefix("call:")
    function = find_object(name, spec)
    if not callable(function):
        raise InputError(f"{spec}: is a {type(function).__name__}, not a function")

    def predict(images: Images) -> Tensor:
        try:
            with quiet(), torch.no_grad():
                # Both sides may reuse their memory for the next batch.
                return torch.as_tensor(function(images.numpy(force=True).copy())).clone()
        except (Exception, SystemExit) as error:
            raise NoOutput(f"failed: {described(error)}") from error

    return Opened(name, predict)
