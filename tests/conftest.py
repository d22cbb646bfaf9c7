"""What is trained or measured once a session and used by many tests."""

import gc
import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import jaxtyping
import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from playwright.sync_api import Browser
from torch import nn

import tests.quick_checks
import tests.quick_exports
import tests.quick_files  # noqa: F401  (all before what they change)

# isort: split

from bitcliff.adapters import DataOptions, load_examples
from bitcliff.audit import AssessSettings, Audit
from bitcliff.record import Record
from bitcliff.types.subject import Examples, Preprocessing, Subject
from tests.browser import launched
from tests.small_networks import DigitsCNN, DigitsMLP

torch.set_num_threads(1)

TESTS = Path(__file__).parent
# Whole commands, and searches that run a few functions many thousand times: checking every call's
# shapes takes most of their time, and the tests of those functions check them.
SHAPES_UNCHECKED = tuple(
    TESTS / part for part in ("audit/search", "contract/test_damage.py", "end_to_end", "run")
)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Before the fixtures, which it is for too."""
    unchecked = any(item.path.is_relative_to(part) for part in SHAPES_UNCHECKED)
    jaxtyping.config.update("jaxtyping_disable", unchecked)
    # What a test draws must not hang on which tests ran before it.
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)


def pytest_collection_finish() -> None:
    """What is loaded by now stays: garbage need not be looked for in it again and again, and in the
    rest more seldom than by default, which takes a tenth of the time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


QUICK = AssessSettings(rounds=4, exchanges=10, evaluations=16, draws=5)


def _train(model: nn.Module, inputs: torch.Tensor, labels: torch.Tensor, epochs: int) -> nn.Module:
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    order = torch.Generator().manual_seed(0)
    for _ in range(epochs):
        for rows in torch.randperm(len(inputs), generator=order).split(64):
            optimizer.zero_grad()
            F.cross_entropy(model(inputs[rows]), labels[rows]).backward()
            optimizer.step()
    return model.eval().requires_grad_(False)


def _digits(split: str) -> Examples:
    flat = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    subject = Subject("flat", flat, None, None, "0" * 64)
    return load_examples("digits", subject=subject, options=DataOptions(split=split))


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One for all pages of a file of tests."""
    with launched() as running:
        yield running


@pytest.fixture(scope="session")
def digits() -> tuple[torch.Tensor, torch.Tensor]:
    """All 1797 digits: inputs (n, 1, 8, 8) in [0, 1], labels (n,)."""
    inputs, labels = [], []
    for examples in map(_digits, ("train", "test")):
        assert isinstance(examples.inputs, torch.Tensor)
        assert examples.labels is not None
        inputs.append(examples.inputs)
        labels.append(examples.labels)
    return torch.cat(inputs), torch.cat(labels)


@pytest.fixture(scope="session")
def cnn(digits: tuple[torch.Tensor, torch.Tensor]) -> nn.Module:
    """Trained on the first 1400 digits, to some 97 % on the rest. Not to be changed."""
    torch.manual_seed(0)
    return _train(DigitsCNN(), digits[0][:1400], digits[1][:1400], epochs=6)


@pytest.fixture(scope="session")
def mlp(digits: tuple[torch.Tensor, torch.Tensor]) -> nn.Module:
    """The same with a deep perceptron, which low bits hurt more."""
    torch.manual_seed(0)
    return _train(DigitsMLP(), digits[0][:1400], digits[1][:1400], epochs=12)


@pytest.fixture(scope="session")
def held_out(digits: tuple[torch.Tensor, torch.Tensor]) -> Examples:
    """40 digits that the networks were not trained on, labelled."""
    return Examples(
        name="held-out digits",
        inputs=digits[0][1400:1440],
        labels=digits[1][1400:1440],
        ids=tuple(f"digit-{place}" for place in range(1400, 1440)),
        n_available=397,
        sha256="1" * 64,
        class_names=tuple(map(str, range(10))),
        thumbnails=tuple(f"data:image/png;base64,{place:04d}" for place in range(40)),
    )


@pytest.fixture(scope="session")
def quick_settings() -> AssessSettings:
    """A whole assessment in a few seconds; low bits, so that something breaks."""
    return QUICK.changed(bits=(2, 3, 4, 5), budgets=(2.5, 3.0), uniform=(2, 3, 8))


@pytest.fixture(scope="session")
def record(mlp: nn.Module, held_out: Examples, quick_settings: AssessSettings) -> Record:
    """The perceptron's assessment on the held-out digits."""
    return Audit(mlp, held_out, settings=quick_settings).assess(command="made by the tests")


@pytest.fixture(scope="session")
def grey() -> Preprocessing:
    """For pictures of digits."""
    return Preprocessing(size=(8, 8), channels=1, mean=(0.0,), std=(1.0,))


@pytest.fixture(scope="session")
def weights_file(mlp: nn.Module, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The perceptron's weights as a file of the given ending."""
    from safetensors.torch import save_file

    folder = tmp_path_factory.mktemp("weights")

    def write(suffix: str) -> Path:
        path = folder / f"mlp{suffix}"
        if suffix == ".safetensors":
            save_file(mlp.state_dict(), path)
        else:
            torch.save(mlp.state_dict(), path)
        return path

    return write


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[Path]]:
    """What was synced to disk so far, in order, under the names it had then."""
    sync, names = os.fsync, list[Path]()

    def noted(descriptor: int) -> None:
        names.append(Path(f"/proc/self/fd/{descriptor}").readlink())
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", noted)
    return lambda: names
