"""What vendors ship: dynamic int8 quantization by other people's runtimes, by name."""

from bitcliff.adapters.runtimes.load import RUNTIMES, load_runtime, read_runtime

__all__ = ["RUNTIMES", "load_runtime", "read_runtime"]
