import pytest

from bitcliff.errors import InputError
from bitcliff.tasks import Classification, NextToken, Threshold
from bitcliff.tasks.choice import read_task
from bitcliff.tasks.ctc import Ctc
from bitcliff.tasks.detection import Detection
from bitcliff.tasks.positions import Positions
from bitcliff.tasks.values import Embedding, Labels, Values


def test_a_task_is_read_as_it_is_named() -> None:
    for task in (
        Classification(), NextToken(), Threshold(), Threshold(0.5), Threshold(-3.25), Positions(),
        Positions(0.01), Ctc(), Ctc(7), Values(0.5), Embedding(0.99), Labels(-1.0),
        Detection(0.25),
    ):  # fmt: skip
        assert read_task(task.name) == task
    assert read_task("labels") == Labels(0.5)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("clasification", "is not known; did you mean classification"),
        ("classification:3", "needs how many of the best: classification:top5"),
        ("classification:top0", "needs how many of the best: classification:top5"),
        ("values:-5%", "needs a tolerance, such as values:0.5 or values:5%"),
        ("span:3", "takes nothing after a colon"),
        ("threshold:", r"needs a number, such as threshold:0\.5"),
        ("threshold:half", r"needs a number, such as threshold:0\.5"),
        ("threshold:nan", r"needs a number, such as threshold:0\.5"),
        ("values", r"needs a tolerance, such as values:0\.5"),
        ("values:0", r"needs a tolerance, such as values:0\.5"),
        ("positions:1", r"needs a share from 0 to 1, such as positions:0\.01"),
        ("ctc:1.5", "needs the blank's number: ctc:0"),
        ("embedding:2", r"needs a cosine such as embedding:0\.99"),
        ("detection:1", r"needs a score from 0 to 1, such as detection:0\.5"),
        ("", "is not known; give classification, threshold, next-token"),
    ],
)
def test_another_is_refused(text: str, told: str) -> None:
    with pytest.raises(InputError, match=told) as caught:
        read_task(text)
    assert str(caught.value).startswith(f"--task {text}: ")
