from pathlib import Path

import pytest
import torch

from bitcliff.adapters.black_box import BlackBoxSettings, load_black_box
from bitcliff.errors import InputError
from tests.adapters.black_box.networks import images

SOURCE = """
import numpy as np
import torch

asked = []

def means(batch):
    print("noise")
    asked.append((type(batch), batch.dtype, batch.shape))
    return batch.mean(axis=(2, 3))

def as_lists(batch):
    return means(batch).tolist()

def as_tensor(batch):
    return torch.from_numpy(means(batch)).requires_grad_()

def classes(batch):
    return means(batch).argmax(axis=1)

buffer = np.zeros((2, 3), np.float32)

def reuses_memory(batch):
    buffer[: len(batch)] = means(batch)
    return buffer[: len(batch)]

def overwrites(batch):
    result = means(batch)
    batch[:] = 0
    return result

def fails(batch):
    return batch @ "nonsense"

def leaves(batch):
    raise SystemExit(3)

def gives_nothing(batch):
    pass

def gives_words(batch):
    return ["cat"] * len(batch)

def grows(batch):
    asked.append(batch)
    return np.zeros((len(batch), 2 + len(asked)))

class Loaded:
    def ask(self, batch):
        return means(batch)

loaded = Loaded()
number = 3
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> str:
    name = f"box_{abs(hash(request.node.name))}"
    (tmp_path / f"{name}.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(tmp_path)
    return name


@pytest.mark.parametrize(
    "function", ["means", "as_lists", "as_tensor", "reuses_memory", "overwrites", "loaded.ask"]
)
def test_functions_are_called(
    module: str, function: str, capsys: pytest.CaptureFixture[str]
) -> None:
    box = load_black_box(f"call:{module}:{function}", BlackBoxSettings(batch=2))
    given = images(5)
    assert torch.allclose(box.ask(given), images(5).mean(dim=(2, 3)))
    assert torch.equal(given, images(5))
    assert (box.name, box.identity) == (f"call:{module}:{function}", f"{module}:{function}")
    assert capsys.readouterr().out == ""


def test_a_class_only_is_an_output(module: str) -> None:
    classes = load_black_box(f"call:{module}:classes").ask(images(5))
    assert torch.equal(classes, images(5).mean(dim=(2, 3)).argmax(dim=1))


@pytest.mark.parametrize(
    ("function", "message"),
    [
        ("fails", r"failed: .*\(box_\d+\.py, line 33\)"),
        ("leaves", "failed: SystemExit: 3"),
        ("gives_nothing", "failed: "),
        ("gives_words", "failed: "),
        ("grows", r"gave shape \(2, 4\), but before with \(3,\)"),
    ],
)
def test_what_the_users_code_does_wrong_is_reported(
    module: str, function: str, message: str
) -> None:
    box = load_black_box(f"call:{module}:{function}", BlackBoxSettings(batch=2))
    with pytest.raises(InputError, match=f"^call:{module}:{function}: {message}") as caught:
        box.ask(images(4))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("{}:number", "is a int, not a function"),
        ("{}:meens", "has no meens; did you mean means"),
        ("{}", "must be call:package.module:name"),
        ("no_such_module_zz:f", "no module no_such_module_zz"),
    ],
)
def test_names_that_lead_nowhere(module: str, name: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        load_black_box("call:" + name.format(module))
