from pathlib import Path

import pytest
import torch

from bitcliff.adapters import ModelOptions, load_model
from bitcliff.adapters.outputs import output_count
from bitcliff.errors import InputError
from bitcliff.tasks import task_of

SOURCE = """
import torch
class Largest:
    name, words, decisions = "largest", "which output is the largest", None
    def scores(self, output, inputs):
        return output
    scores_before = scores
class Raises(Largest):
    def scores(self, output, inputs):
        raise ValueError("of mine")
class Flat(Largest):
    def scores(self, output, inputs):
        return output[:, 0]
number = 3
def fails():
    return 1 / 0
def build():
    return torch.nn.Linear(4, 3)
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tasks_of_mine.py").write_text(SOURCE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)


@pytest.mark.usefixtures("place")
def test_a_task_of_the_users_own() -> None:
    options = ModelOptions(task="py:tasks_of_mine:Largest")
    subject = load_model("py:tasks_of_mine:build", options=options)
    assert task_of(subject.module).name == "largest"
    x = torch.randn(2, 3)
    assert torch.equal(task_of(subject.module).scores(x, torch.zeros(2, 4)), x)
    assert subject.runs_user_code


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("tasks_of_mine", "must be --task py:package.module:name"),
        ("tasks_of_mine:number", "is a int, not a task"),
        ("tasks_of_mine:fails", "ZeroDivisionError"),
        ("tasks_of_mine:build", "gave Linear, not a task"),
        ("nowhere_at_all:it", "no module nowhere_at_all"),
    ],
)
def test_what_is_none_is_refused(name: str, told: str) -> None:
    with pytest.raises(InputError, match=told):
        load_model("py:tasks_of_mine:build", options=ModelOptions(task=f"py:{name}"))


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("Raises", r"--task largest: fails at .* \(1, 3\): ValueError: of mine \(tasks_of_mine.py"),
        ("Flat", r"gives \(1,\) for one example"),
    ],
)
def test_a_task_that_fails_is_named(name: str, told: str) -> None:
    options = ModelOptions(task=f"py:tasks_of_mine:{name}")
    subject = load_model("py:tasks_of_mine:build", options=options)
    with pytest.raises(InputError, match=told):
        output_count(subject, torch.randn(2, 4))
