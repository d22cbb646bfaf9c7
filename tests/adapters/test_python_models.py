from pathlib import Path

import pytest
import torch

from bitcliff.adapters import ModelOptions, load_model
from bitcliff.errors import InputError
from bitcliff.points import discover

SOURCE = """
import torch
print("noise while importing")
def build():
    print("noise while building")
    return torch.nn.Linear(4, 3)
ready = torch.nn.Linear(4, 2)
class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.head = torch.nn.Linear(4, 5)
number = 3
def fails():
    return 1 / 0
def leaves():
    raise SystemExit("bye")
def gives_text():
    return "text"
def needs_more(n):
    return n
def broken_weights():
    m = torch.nn.Linear(4, 3)
    m.weight.data[0, 0] = float("nan")
    return m
def scripted():
    return torch.jit.script(torch.nn.Sequential(torch.nn.Linear(4, 3)))
def traced():
    return torch.jit.trace(torch.nn.Linear(4, 3), torch.zeros(1, 4))
def partly():
    return torch.nn.Sequential(torch.nn.Linear(4, 4), scripted(), torch.nn.Linear(3, 2))
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> str:
    """A package of the user's in the working directory, under a name of its own for each test."""
    name = f"user_{abs(hash(request.node.name))}"
    (tmp_path / name).mkdir()
    (tmp_path / name / "__init__.py").touch()
    (tmp_path / name / "nets.py").write_text(SOURCE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", [p for p in __import__("sys").path if p != str(tmp_path)])
    return f"{name}.nets"


@pytest.mark.parametrize(("attribute", "outputs"), [("build", 3), ("ready", 2)])
def test_factories_and_modules_are_taken(
    module: str, attribute: str, outputs: int, capsys: pytest.CaptureFixture[str]
) -> None:
    subject = load_model(f"py:{module}:{attribute}")
    assert subject.module(torch.zeros(1, 4)).shape == (1, outputs)
    assert subject.runs_user_code
    assert subject.preprocessing is None
    assert not any(p.requires_grad for p in subject.module.parameters())
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("attribute", ["scripted", "traced", "partly"])
def test_torchscript_is_a_model_that_is_seen_but_not_covered(module: str, attribute: str) -> None:
    subject = load_model(f"py:{module}:{attribute}")
    assert not any(p.requires_grad for p in subject.module.parameters())
    x = torch.randn(4, 4)
    if attribute == "partly":
        assert "cannot open" in " ".join(m.reason for m in discover(subject.module, x).missed)
    else:
        with pytest.raises(
            InputError, match=r"no quantization point .*inside an operation Bitcliff cannot open"
        ):
            discover(subject.module, x)


def test_a_class_is_a_factory(module: str) -> None:
    assert load_model(f"py:{module}:Net").module.get_parameter("head.bias").shape == (5,)


def test_weights_and_their_hash(module: str, tmp_path: Path) -> None:
    state = torch.nn.Linear(4, 3).state_dict()
    torch.save(state, tmp_path / "w.pt")
    subject = load_model(f"py:{module}:build", weights=tmp_path / "w.pt")
    assert torch.equal(subject.module.get_parameter("weight"), state["weight"])
    first, second = (load_model(f"py:{module}:ready").weights_sha256 for _ in range(2))
    assert first == second != subject.weights_sha256


@pytest.mark.parametrize(
    ("attribute", "message"),
    [
        ("biuld", "has no biuld; did you mean build"),
        ("number", "is a int, not a callable"),
        (
            "fails",
            r"calling fails\(\) failed: ZeroDivisionError: division by zero \(nets\.py, line",
        ),
        ("leaves", "SystemExit: bye"),
        ("gives_text", "gave str, not an nn.Module"),
        ("needs_more", "TypeError: .*missing 1 required positional argument"),
        ("broken_weights", "weight holds NaN or infinity"),
    ],
)
def test_what_the_users_code_does_wrong_is_reported(
    module: str, attribute: str, message: str
) -> None:
    with pytest.raises(InputError, match=message) as caught:
        load_model(f"py:{module}:{attribute}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("def (", "SyntaxError: .*line 1"),
        ("x = undefined_name", r"NameError: name 'undefined_name' is not defined \(bad_"),
        (
            "import no_such_module_zz",
            "importing bad_.* failed: ModuleNotFoundError: No module named",
        ),
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("raise ValueError('a\\n b')", "ValueError: a b"),
    ],
)
def test_a_bug_in_the_users_module_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, message: str
) -> None:
    name = f"bad_{abs(hash(source))}"
    (tmp_path / f"{name}.py").write_text(source)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(InputError, match=message) as caught:
        load_model(f"py:{name}:build")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["py:module", "py::build", "py:module:", "py:.a:b"])
def test_malformed_names(name: str) -> None:
    with pytest.raises(InputError, match=name):
        load_model(name)


def test_a_module_that_is_not_there() -> None:
    with pytest.raises(InputError, match="no module no_such_package_zz in the working directory"):
        load_model("py:no_such_package_zz.nets:build")


def test_image_settings_come_from_options(module: str) -> None:
    for channels, count in ((None, 3), ("grey", 1)):  # one number speaks of every channel
        options = ModelOptions.model_validate(
            {"image_size": 28, "mean": (0.3,), "std": (0.5,), "channels": channels}
        )
        found = load_model(f"py:{module}:build", options=options).preprocessing
        assert found is not None
        assert (found.size, found.channels) == ((28, 28), count)
        assert (found.mean, found.std) == ((0.3,) * count, (0.5,) * count)
    with pytest.raises(InputError, match="need --image-size"):
        load_model(f"py:{module}:build", options=ModelOptions(crop=0.9))
    with pytest.raises(InputError, match="--num-classes does not apply"):
        load_model(f"py:{module}:build", options=ModelOptions(num_classes=9))
