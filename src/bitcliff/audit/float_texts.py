"""What a language model gives in float at every position of a text, for as little as it takes."""

import torch
from torch import Tensor, nn

from bitcliff.points.forward import output_of
from bitcliff.tasks.against_float import digests
from bitcliff.types.subject import Inputs

# What is kept of all texts together; of others the network is run whole each time.
_KEPT_BYTES = 256 * 2**20


class FloatTexts:
    """Runs the network once for each text, and later its last layer alone.

    Scores of a whole vocabulary at each position are too much to be kept; what its last layer is
    given is not. So each text's is kept, where that layer gives the same output to the bit once
    more. In batches of another size kernels may round otherwise: those are other texts here.
    """

    def __init__(self, module: nn.Module) -> None:
        self._module = module
        self._last = next((m for m in [*module.modules()][::-1] if isinstance(m, nn.Linear)), None)
        self._kept: dict[tuple[bytes, int], Tensor] = {}
        self._bytes = 0

    def __call__(self, inputs: Inputs) -> Tensor:
        """(batch, positions, tokens)."""
        found = digests(inputs)
        rows = [(row, len(found)) for row in found]
        with torch.no_grad():
            if self._last is not None and all(row in self._kept for row in rows):
                output: Tensor = self._last(torch.stack([self._kept[row] for row in rows]))
                return output
            return self._whole(inputs, rows)

    def _whole(self, inputs: Inputs, rows: list[tuple[bytes, int]]) -> Tensor:
        if self._last is None or self._bytes > _KEPT_BYTES:
            return output_of(self._module, inputs)
        given: list[Tensor] = []
        watch = self._last.register_forward_pre_hook(lambda _layer, args: given.extend(args))
        try:
            output = output_of(self._module, inputs)
        finally:
            watch.remove()
        if len(given) == 1 and torch.equal(self._last(given[0]), output):
            self._kept |= dict(zip(rows, given[0], strict=True))
            self._bytes += given[0].nbytes
        else:
            self._last = None
        return output
