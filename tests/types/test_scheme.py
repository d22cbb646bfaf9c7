"""Presets are read from words, and words that are no preset are refused."""

import pytest

from bitcliff.errors import InputError
from bitcliff.quant import Scheme


@pytest.mark.parametrize(
    ("text", "scheme"),
    [
        ("paper", Scheme("paper")),
        ("onnx", Scheme("onnx")),
        ("percentile(99.9)", Scheme("percentile", 99.9)),
        (" percentile( 100 ) ", Scheme("percentile", 100.0)),
    ],
)
def test_presets_and_their_names(text: str, scheme: Scheme) -> None:
    assert Scheme.parse(text) == scheme
    assert Scheme.parse(str(scheme)) == scheme
    assert Scheme.parse(scheme) is scheme


@pytest.mark.parametrize(
    "text",
    ["", "Paper", "percentile", "percentile()", "percentile(50)", "percentile(101)", "min-max"],
)
def test_what_is_no_preset(text: str) -> None:
    with pytest.raises(InputError, match="--scheme"):
        Scheme.parse(text)


@pytest.mark.parametrize("number", ["nan", "1e", "..", "-60", "1e400", "99,9"])
def test_a_percentile_that_is_no_number_in_range(number: str) -> None:
    with pytest.raises(InputError, match="--scheme"):
        Scheme.parse(f"percentile({number})")
