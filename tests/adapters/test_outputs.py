from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from bitcliff.adapters import output_count
from bitcliff.errors import InputError
from bitcliff.tasks import Classification, judge_as
from bitcliff.types.subject import Subject


class Gives(nn.Module):
    """Calls a function; prints, as some models do."""

    def __init__(self, function: Any) -> None:
        super().__init__()
        self.function = function

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        print("noise")  # noqa: T201
        return self.function(*args, **kwargs)


def subject(function: Any) -> Subject:
    return Subject("py:m:f", Gives(function), None, None, "0" * 64)


def test_tensors_objects_and_keywords(capsys: pytest.CaptureFixture[str]) -> None:
    x = torch.zeros(5, 3)
    assert output_count(subject(lambda x: torch.zeros(len(x), 7)), x) == 7
    logits = SimpleNamespace(logits=torch.zeros(1, 4))
    assert output_count(subject(lambda **_: logits), {"input_ids": x, "mask": x}) == 4
    # One score has two sides, unless it is said to be that of a class.
    assert output_count(subject(lambda x: torch.zeros(len(x))), x) == 2
    alone = subject(lambda x: torch.zeros(len(x), 1))
    assert output_count(alone, x) == 2
    judge_as(alone.module, Classification())
    with pytest.raises(InputError, match="gives one number an example: give --task threshold"):
        output_count(alone, x)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda x: x @ torch.zeros(4, 4), r"does not accept inputs of shape \(3,\) \(RuntimeError"),
        (lambda x: torch.zeros(1, 3, 8, 8), r"but gave shape \(1, 3, 8, 8\)"),
        (lambda x: "text", "but gave no tensor"),
        (lambda: 1 / 0, "does not accept inputs"),
    ],
)
def test_what_is_no_classifier_is_refused(function: Any, message: str) -> None:
    with pytest.raises(InputError, match=f"py:m:f: .*{message}") as caught:
        output_count(subject(function), torch.zeros(5, 3))
    assert "\n" not in str(caught.value)
