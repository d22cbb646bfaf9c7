"""The black box that a student is distilled from, by name."""

from bitcliff.adapters.black_box.load import load_black_box
from bitcliff.adapters.black_box.settings import BlackBoxSettings

__all__ = ["BlackBoxSettings", "load_black_box"]
