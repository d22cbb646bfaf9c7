"""What vendors ship: int8 quantization by other people's runtimes, by name, or as a file."""

from bitcliff.adapters.runtimes.load import RUNTIMES, check_runtime_name, load_runtime

__all__ = ["RUNTIMES", "check_runtime_name", "load_runtime"]
