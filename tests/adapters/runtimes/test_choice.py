"""What `--runtime` says, read once."""

import pytest

from bitcliff.adapters.runtimes import read_runtime
from bitcliff.errors import InputError
from bitcliff.types.runtime_choice import OrtOptions, RuntimeChoice


def test_options_are_read_into_fields() -> None:
    text = "ort-dynamic:reduce_range,weights=uint8,operators=MatMul+Gather+MatMul"
    assert read_runtime(text) == RuntimeChoice(
        "ort-dynamic",
        OrtOptions(weights="uint8", reduce_range=True, operators=("MatMul", "Gather")),
    )
    assert read_runtime("ort-dynamic") == RuntimeChoice("ort-dynamic", OrtOptions())
    assert read_runtime("openvino") == RuntimeChoice("openvino")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("ort-dynamc", "not known; did you mean ort-dynamic"),
        ("torch-dynamic:per_channel", "torch-dynamic has no options; give torch-dynamic alone"),
        ("ort-dynamic:", "no option ''; its options are weights, per_channel, "),
        ("ort-dynamic:weigths=uint8", "no option 'weigths'; did you mean weights"),
        ("ort-dynamic:weights=int4", "weights=int4 will not do; use int8 or uint8"),
        ("ort-dynamic:weights", "'weights' will not do; give weights=..."),
        ("ort-dynamic:per_channel=1", "'per_channel=1' will not do; give per_channel"),
        ("ort-dynamic:weights=int8,weights=int8", "weights is given twice; once is enough"),
        ("ort-dynamic:operators=Conv+Foo", "operators=Foo will not do; use Attention, Conv, "),
        ("ort-dynamic:operators=Gemm", "ONNX Runtime makes MatMul of every Gemm"),
    ],
)
def test_what_it_does_not_take_is_told_in_one_line(text: str, says: str) -> None:
    with pytest.raises(InputError) as error:
        read_runtime(text)
    assert str(error.value).startswith(f"--runtime {text}: ")
    assert says in str(error.value)
    assert "\n" not in str(error.value)
