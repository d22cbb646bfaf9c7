import hashlib
import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from bitcliff.adapters.weights import read_weights
from bitcliff.errors import InputError
from bitcliff.types.subject import tensors_sha256
from tests.adapters.subjects import damaged


def a_network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(16, 5))


def saved(path: Path, content: Any, **how: Any) -> Path:
    torch.save(content, path, **how)
    return path


class RunsCode:
    """Creates a file when unpickled."""

    def __init__(self, witness: Path) -> None:
        self.witness = witness

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.witness),)


@pytest.mark.parametrize("name", ["w.safetensors", "w.pt", "w.pth", "w.bin", "old.pt"])
def test_every_kind_of_file_gives_the_same_tensors(tmp_path: Path, name: str) -> None:
    state, path = a_network().state_dict(), tmp_path / name
    if name.endswith("safetensors"):
        save_file(state, path)
    else:
        torch.save(state, path, _use_new_zipfile_serialization=name != "old.pt")
    weights = read_weights(path)
    assert set(weights.tensors) == set(state)
    assert all(torch.equal(weights.tensors[key], state[key]) for key in state)
    assert weights.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("wrapper", ["state_dict", "model", "model_state_dict"])
@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "module._orig_mod."])
def test_wrappers_and_prefixes_are_taken_off(tmp_path: Path, wrapper: str, prefix: str) -> None:
    state = a_network().state_dict()
    content = {wrapper: {prefix + key: value for key, value in state.items()}, "epoch": 3}
    assert set(read_weights(saved(tmp_path / "w.pt", content)).tensors) == set(state)


@pytest.mark.parametrize("new", [True, False])
def test_a_pickle_that_would_run_code_is_refused_and_does_not_run(
    tmp_path: Path, new: bool
) -> None:
    witness = tmp_path / "ran"
    content = {"a": torch.zeros(2), "b": RunsCode(witness)}
    path = saved(tmp_path / "w.pt", content, _use_new_zipfile_serialization=new)
    with pytest.raises(InputError, match=r"w\.pt: refused: a pickle that would run code .*mkdir"):
        read_weights(path)
    assert not witness.exists()


@pytest.mark.parametrize("protocol", range(6))
def test_a_plain_pickle_that_would_run_code_is_refused(tmp_path: Path, protocol: int) -> None:
    witness, path = tmp_path / "ran", tmp_path / "w.pt"
    path.write_bytes(pickle.dumps({"a": RunsCode(witness)}, protocol=protocol))
    with pytest.raises(InputError, match=r"refused: a pickle that would run code .*mkdir"):
        read_weights(path)
    assert not witness.exists()


@pytest.mark.parametrize("new", [True, False])
def test_a_whole_module_is_refused_and_says_what_to_do(tmp_path: Path, new: bool) -> None:
    path = saved(tmp_path / "w.pt", a_network(), _use_new_zipfile_serialization=new)
    with pytest.raises(
        InputError, match=r"refused: a whole pickled module .*safetensors"
    ) as caught:
        read_weights(path)
    assert "\n" not in str(caught.value)


def test_torchscript_and_exported_programs_are_refused(tmp_path: Path) -> None:
    # In a process of its own: torch.jit and torch.export warn, and export is slow to import.
    code = (
        "import sys, torch\nm = torch.nn.Linear(2, 2); x = (torch.zeros(1, 2),)\n"
        "torch.jit.save(torch.jit.trace(m, x), sys.argv[1])\n"
        "torch.export.save(torch.export.export(m, x), sys.argv[2])\n"
    )
    script, program = tmp_path / "script.pt", tmp_path / "program.pt2"
    subprocess.run([sys.executable, "-W", "ignore", "-c", code, script, program], check=True)
    renamed = tmp_path / "program.pt"
    renamed.write_bytes(program.read_bytes())
    with pytest.raises(
        InputError, match=r"script\.pt: refused: a TorchScript archive.*safetensors"
    ):
        read_weights(script)
    for path in (program, renamed):
        with pytest.raises(InputError, match=r"refused: a \.pt2 archive.*safetensors"):
            read_weights(path)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("kind", [torch.float32, torch.float16, torch.bfloat16])
def test_nan_and_infinity_are_refused(tmp_path: Path, value: float, kind: torch.dtype) -> None:
    bad = torch.zeros(4, dtype=kind)
    bad[2] = value
    save_file({"fine": torch.ones(3), "bad.weight": bad}, tmp_path / "w.safetensors")
    with pytest.raises(InputError, match=r"w\.safetensors: bad\.weight holds NaN or infinity"):
        read_weights(tmp_path / "w.safetensors")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (torch.zeros(3), "holds a Tensor, not a state dict"),
        ([torch.zeros(3)], "holds a list"),
        ({}, "holds no weights"),
        ({"epoch": 3, "weights": {}}, "'epoch' holds a int, not a tensor"),
        ({"a": torch.eye(2).to_sparse()}, "a is not a plain dense tensor"),
    ],
)
def test_what_is_not_a_state_dict_is_refused(tmp_path: Path, content: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_weights(saved(tmp_path / "w.pt", content))


def test_files_that_are_not_there_or_not_weights(tmp_path: Path) -> None:
    (tmp_path / "empty.pt").touch()
    (tmp_path / "text.pt").write_text("hello, I am text")
    (tmp_path / "text.safetensors").write_text("hello, I am text")
    (tmp_path / "dir.pt").mkdir()
    (tmp_path / "w.h5").write_text("x")
    for name, message in [
        ("none.pt", "no such file"),
        ("empty.pt", "empty"),
        ("text.pt", "not a PyTorch file"),
        ("text.safetensors", "not a safetensors file"),
        ("dir.pt", "not a file"),
        ("w.h5", r"must be one of \.safetensors"),
    ]:
        with pytest.raises(InputError, match=f"{name}: .*{message}") as caught:
            read_weights(tmp_path / name)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", ["safetensors", "pt", "old.pt"])
def test_damage_is_refused_or_harmless(tmp_path: Path, kind: str) -> None:
    state, whole, broken = a_network().state_dict(), tmp_path / f"w.{kind}", tmp_path / f"b.{kind}"
    if kind == "safetensors":
        save_file(state, whole)
    else:
        saved(whole, state, _use_new_zipfile_serialization=kind == "pt")
    messages = []
    for data in damaged(whole.read_bytes()):
        broken.write_bytes(data)
        try:
            tensors = read_weights(broken).tensors
        except InputError as error:
            messages.append(str(error))
            continue
        assert all(isinstance(tensor, Tensor) for tensor in tensors.values())
        assert all(bool(tensor.isfinite().all()) for tensor in tensors.values())
        if kind == "pt":  # its checksums cover all tensors, so what loads is what was saved
            assert all(torch.equal(tensors[key], state[key]) for key in state)
    assert len(messages) > 25  # every cut at least
    assert all(str(broken) in line and "\n" not in line for line in messages)


def test_the_hash_of_a_state_dict_tells_names_values_and_types_apart() -> None:
    base = {"a": torch.ones(2, 3), "b": torch.zeros(2)}
    others = [
        {"a": torch.ones(2, 3), "c": torch.zeros(2)},
        {"a": torch.ones(3, 2), "b": torch.zeros(2)},
        {"a": torch.ones(2, 3), "b": torch.zeros(2, dtype=torch.int32)},
        {"a": torch.ones(2, 3) * 2, "b": torch.zeros(2)},
    ]
    assert tensors_sha256(dict(reversed(base.items()))) == tensors_sha256(base)
    assert len({tensors_sha256(state) for state in [base, *others]}) == 5
