from typing import Any

import pytest

from bitcliff.adapters import ModelOptions
from bitcliff.errors import InputError


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"num_classes": 1}, "--num-classes 1"),
        ({"image_size": 0}, "--image-size 0"),
        ({"image_size": 100_000}, "--image-size 100000"),
        ({"crop": 0.0}, "--crop 0.0"),
        ({"crop": 1.5}, "--crop 1.5"),
        ({"interpolation": "cubic"}, "--interpolation cubic"),
        ({"mean": (0.1, 0.2)}, "--mean"),
        ({"mean": (float("nan"),)}, "--mean"),
        ({"std": (0.0,)}, "--std"),
    ],
)
def test_values_out_of_range_are_refused(settings: dict[str, Any], named: str) -> None:
    with pytest.raises(InputError, match=named):
        ModelOptions(**settings)


def test_edges_of_the_ranges_are_accepted() -> None:
    options = ModelOptions(
        num_classes=2, image_size=4096, crop=1.0, mean=(0.0,), std=(1.0, 1.0, 1.0)
    )
    assert options.image_size == 4096
