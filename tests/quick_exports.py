"""torch's exporter learns its operators once a process, and not anew for every file.

Reading what ONNX has for each of torch's operators takes it half a second, a third of what a small
network's export takes, and always gives the same: only a table of one's own would be added to it.

Importing this switches it on.
"""

import functools

from torch.onnx._internal.exporter._registration import ONNXRegistry

setattr(  # noqa: B010
    ONNXRegistry, "from_torchlib", staticmethod(functools.cache(ONNXRegistry.from_torchlib))
)
