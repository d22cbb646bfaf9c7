"""The command line: arguments in, exit code out."""

from bitcliff.cli.main import main

__all__ = ["main"]
