"""Bitcliff finds where dynamic post-training quantization makes a network fall off a cliff.

From Python::

    import bitcliff as bc
    audit = bc.Audit(model, loader, bits=range(3, 11), scheme="onnx")
    record = audit.assess(budgets=[4, 5.5, 7])

Names are imported on first use, so that `import bitcliff` and the command line start at once.
"""

import os
from importlib import import_module, metadata
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bitcliff.audit.audit import Audit as Audit
    from bitcliff.audit.quantized import quantized as quantized

# On processors without AVX-512, MKL rounds a row of a product by where in the batch it stands, and
# an example's outcome would depend on its batch-mates. This mode rounds all rows alike. It is read
# at MKL's first product: a program that multiplies before importing Bitcliff has to set it itself.
os.environ.setdefault("MKL_CBWR", "AUTO")

__version__ = metadata.version("bitcliff")

_ATTRIBUTES = {
    "Audit": "bitcliff.audit.audit",
    "quantized": "bitcliff.audit.quantized",
}
_ROOMS = (
    "adapters",
    "audit",
    "budget",
    "errors",
    "points",
    "policy",
    "quant",
    "record",
    "report",
    "stats",
    "tasks",
    "testing",
    "verdict",
)

__all__ = ["Audit", "__version__", "quantized"]


def __getattr__(name: str) -> Any:
    if name in _ATTRIBUTES:
        return getattr(import_module(_ATTRIBUTES[name]), name)
    if name in _ROOMS:
        return import_module(f"bitcliff.{name}")
    raise AttributeError(f"module 'bitcliff' has no attribute {name!r}")
