"""A worker in this process: it prepares what the driver did, and says so where it cannot."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from bitcliff.audit.batches import unpacked
from bitcliff.sweep.shards.worker import Worker, failure_in, greeting
from tests.sweep.shards import audits


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """That of a run, as the driver has it."""
    seen = list[dict[str, Any]]()

    @contextmanager
    def noted(config: dict[str, Any]) -> Iterator[None]:
        seen.append(json.loads(json.dumps(config)))
        yield None

    settings = audits.DIGITS.changed(budgets=(), uniform=(), numerics=("ort-uint8",))
    audits.record(audits.job(tmp_path_factory.mktemp("run"), settings, 8), noted)
    return seen[0]


def test_it_prepares_the_same_and_says_that_it_is_ready(config: dict[str, Any]) -> None:
    answer = Worker().answer(greeting(config))
    assert failure_in(answer) is None
    assert unpacked(answer) == ({"ready": True}, {})


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"float_sha256": "0" * 64}, "a worker prepares another run: its float_sha256 is "),
        ({"weights_sha256": "0" * 64}, "its weights_sha256 is "),
        ({"bitcliff": "9.9"}, "its bitcliff is 0.1.0, the driver's 9.9"),
        ({"data": "nowhere.npz"}, "nowhere.npz"),
        ({"settings": {}}, "a worker prepares another run: its settings is "),
        ({"model_options": 3}, "not the configuration of an assessment"),
    ],
)
def test_what_differs_is_told_in_a_line(
    config: dict[str, Any], changed: dict[str, Any], words: str
) -> None:
    told = failure_in(Worker().answer(greeting({**config, **changed}))) or ""
    assert words in told
    assert "\n" not in told


def test_nonsense_is_answered_too(config: dict[str, Any], tmp_path: Path) -> None:
    worker = Worker()
    assert failure_in(worker.answer(b"\0" * 20)) is not None
    worker.answer(greeting(config))
    assert "Error: " in (failure_in(worker.answer(greeting(config))) or "")
