"""What vendors ship: int8 quantization by other people's runtimes, by name, or as a file."""

from bitcliff.adapters.runtimes.load import RUNTIMES, load_runtime, read_runtime

__all__ = ["RUNTIMES", "load_runtime", "read_runtime"]
