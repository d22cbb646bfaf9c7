"""What can be told of every input by itself, as records keep it."""

from collections.abc import Mapping
from typing import Literal

from bitcliff.record.arrays import Floats
from bitcliff.record.part import Part

FeatureKey = Literal[
    "class", "margin", "brightness", "contrast", "sharpness", "distance", "length", "loudness"
]
MeasuredKey = Literal["brightness", "contrast", "sharpness", "distance", "length", "loudness"]

HEADINGS: Mapping[FeatureKey, str] = {
    "class": "Class",
    "margin": "Float margin",
    "brightness": "Brightness",
    "contrast": "Contrast",
    "sharpness": "Sharpness",
    "distance": "Distance to its class",
    "length": "Text length",
    "loudness": "Loudness",
}


class MeasuredFeature(Part):
    """Observed: something measured on every input.

    Attributes:
        measured: on what, and how. values: (n,) in the order of the data, NaN where there is none.
    """

    key: MeasuredKey
    measured: str
    values: Floats


class NotMeasured(Part):
    """Observed: a feature that could not be measured here, and why."""

    key: MeasuredKey
    reason: str
