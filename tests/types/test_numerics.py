"""A format's parts: what fits together, and what follows from them."""

from fractions import Fraction
from typing import Any

import pytest
from pydantic import ValidationError

from bitcliff.errors import InputError
from bitcliff.types.numerics import Numerics
from bitcliff.types.presets import PRESETS, Format, preset

GOOD: dict[str, Any] = {"element": "int8", "group": "token", "scale": "amax", "divisor": 127}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"element": "int1"}, "2 to 16 bits"),
        ({"element": "int17"}, "2 to 16 bits"),
        ({"element": "fp8"}, "is not known: int2 to int16"),
        ({"group": "row"}, "Input should be 'batch'"),
        ({"group": "block"}, "block gives the entries"),
        ({"block": 32}, "block gives the entries"),
        ({"element": "e4m3", "scale": "minmax"}, "no zero point"),
        ({"scale": "rceil"}, "is of floats"),
        ({"element": "e2m1", "scale": "two-level"}, "of blocks"),
        ({"divisor": 0}, "greater than 0"),
        ({"floor": -1}, "greater than or equal to 0"),
        ({"floors": 1}, "Extra inputs"),
    ],
)
def test_what_does_not_fit_is_told(change: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        Numerics.model_validate({**GOOD, **change})


@pytest.mark.parametrize(
    ("name", "bits"),
    [
        ("mxfp8-rceil", Fraction(33, 4)),
        ("mxfp6-e2m3-floor", Fraction(25, 4)),
        ("mxfp4-floor", Fraction(17, 4)),
        ("nvfp4", Fraction(9, 2)),
        ("gguf-q8_0", Fraction(17, 2)),
        ("vllm-fp8-group128", Fraction(33, 4)),
        ("vllm-int8-token", Fraction(8)),
    ],
)
def test_bits_count_the_scales_of_blocks(name: str, bits: Fraction) -> None:
    activations = preset(name).activations
    assert activations is not None
    assert activations.bits == bits


def test_a_scale_that_crosses_examples_is_known_by_construction() -> None:
    crossing = {name for name, found in PRESETS.items() if not found.isolated}
    assert crossing == {"ort-uint8", "torchao-fp8-tensor", "nvfp4"}


def test_a_format_that_rounds_nothing_or_cannot_be_is_refused() -> None:
    with pytest.raises(ValidationError, match="give activations, weights, cache"):
        Format()
    token = Numerics.model_validate(GOOD)
    with pytest.raises(ValidationError, match="a convolution sums over places too"):
        Format(activations=token, everywhere=True)


def test_an_unknown_preset_names_the_nearest() -> None:
    with pytest.raises(InputError, match="did you mean mxfp4-rceil"):
        preset("mxfp4-rcei")
    with pytest.raises(InputError, match="`bitcliff numerics` lists"):
        preset("something else")
