"""Models and data by name: a word from the command line becomes a `Subject` or `Examples`.

Importing this package imports torch and numpy only; timm, torchvision, transformers, datasets,
scikit-learn and Pillow are imported where a name asks for them.
"""

from bitcliff.adapters.examples import load_examples
from bitcliff.adapters.models import check_model_name, load_model
from bitcliff.adapters.outputs import output_count
from bitcliff.types.options import DataOptions, ModelOptions

__all__ = [
    "DataOptions",
    "ModelOptions",
    "check_model_name",
    "load_examples",
    "load_model",
    "output_count",
]
