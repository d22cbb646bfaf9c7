from typing import Any

import pytest

from bitcliff.adapters import DataOptions, ModelOptions
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


@pytest.mark.parametrize(
    ("given", "size"),
    [("224", (224, 224)), ("48x192", (48, 192)), ((48, 192), (48, 192)), (8, (8, 8))],
)
def test_a_size_is_one_side_or_two(given: object, size: tuple[int, int]) -> None:
    assert ModelOptions.model_validate({"image_size": given}).size == size


@pytest.mark.parametrize(
    ("kind", "values", "message"),
    [
        (ModelOptions, {"image_size": "48by192"}, "HEIGHTxWIDTH such as 48x192"),
        (ModelOptions, {"image_size": "48x0"}, "--image-size 0: must be from 1"),
        (DataOptions, {"label_map": "cat,dog"}, "--label-map cat,dog: give NAME=OUTPUT"),
        (DataOptions, {"label_map": "=1"}, "--label-map =1: give NAME=OUTPUT"),
        (DataOptions, {"label_map": "a=0,a=1"}, "names a twice"),
    ],
)
def test_what_is_written_otherwise(
    kind: type[ModelOptions | DataOptions], values: dict[str, str], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        kind.model_validate(values)
