import pytest

from bitcliff.errors import InputError
from bitcliff.tasks import Classification, NextToken, Threshold
from bitcliff.tasks.choice import read_task


def test_a_task_is_read_as_it_is_named() -> None:
    for task in (Classification(), NextToken(), Threshold(), Threshold(0.5), Threshold(-3.25)):
        assert read_task(task.name) == task


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("clasification", "is not known; did you mean classification"),
        ("classification:3", "takes nothing after a colon"),
        ("threshold:", "must be a number after the colon"),
        ("threshold:half", "must be a number after the colon"),
        ("threshold:nan", "must be a number after the colon"),
        ("", "is not known; give classification, next-token, threshold or threshold:NUMBER"),
    ],
)
def test_another_is_refused(text: str, told: str) -> None:
    with pytest.raises(InputError, match=told) as caught:
        read_task(text)
    assert str(caught.value).startswith(f"--task {text}: ")
