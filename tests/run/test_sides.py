"""What `bitcliff diff` takes for its A and B."""

from pathlib import Path

import pytest

from bitcliff.errors import InputError
from bitcliff.run.sides import read_sides
from bitcliff.types.runtime_choice import OrtOptions, RuntimeChoice

OWN = "weights: {element: int4, group: block, block: 16, scale: amax, divisor: 7}"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("own.yaml", "again/own.yaml", "float.yaml", "nvfp4.yaml", "ort-dynamic.yml"):
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(OWN if name != "again/own.yaml" else OWN.replace("int4", "int8"))
    (tmp_path / "bad.yaml").write_text(OWN.replace("int4", "int99"))
    return tmp_path


def test_each_kind_goes_where_an_assessment_takes_it(here: Path) -> None:
    own = read_sides("vllm-int8-token", "own.yaml")
    assert (own.labels, own.numerics) == (("vllm-int8-token", "own"),) * 2
    assert own.formats["own"].weights is not None
    assert own.formats["own"].weights.element == "int4"
    runtime = read_sides("float", "ort-dynamic:weights=uint8")
    assert runtime.labels == ("float", "ort-dynamic:weights=uint8")
    assert (runtime.numerics, runtime.formats) == ((), {})
    assert runtime.runtimes == (RuntimeChoice("ort-dynamic", OrtOptions(weights="uint8")),)
    both = read_sides("file:int8.onnx", "ort-dynamic")
    assert [choice.label for choice in both.runtimes] == ["file:int8.onnx", "ort-dynamic"]


@pytest.mark.parametrize(
    ("a", "b", "says"),
    [
        ("nvfp4", "nvfp4", "A and B are both nvfp4: give two that differ"),
        ("float", "float", "A and B are both float"),
        ("ort-dynamic", "ort-dynamic:weights=int8", "A and B are both ort-dynamic"),
        ("own.yaml", "again/own.yaml", "both called own: rename one of the files"),
        ("own.yaml", "./own.yaml", "A and B are both own"),
        ("vllm-int8", "nvfp4", "'vllm-int8' is neither numerics nor a runtime; did you mean vllm"),
        ("nvfp4", "ort-dynamc", "did you mean ort-dynamic"),
        ("nvfp4", "zzz", "give a name that `bitcliff numerics` lists, a FILE.yaml, float, or"),
        ("nvfp4", "ort-dynamic:weights=int7", "weights=int7 will not do"),
        ("nvfp4", "file:int8.bin", "takes a quantized network as file:FILE.onnx"),
        ("nvfp4", "none.yaml", "none.yaml: cannot be read"),
        ("nvfp4", "bad.yaml", "element 'int99' must have 2 to 16 bits"),
        ("mxfp4-even", "nvfp4.yaml", "nvfp4.yaml is called as what is built in; rename"),
        ("nvfp4", "float.yaml", "float.yaml is called as what is built in"),
        ("nvfp4", "ort-dynamic.yml", "ort-dynamic.yml is called as what is built in"),
    ],
)
def test_bad_input_is_told(here: Path, a: str, b: str, says: str) -> None:
    with pytest.raises(InputError) as told:
        read_sides(a, b)
    assert says in str(told.value)
    assert "\n" not in str(told.value)
