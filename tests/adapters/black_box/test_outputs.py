import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from bitcliff.adapters.black_box.outputs import Form, NoOutput, Opened, checked, insist
from bitcliff.errors import InputError
from tests.adapters.black_box.networks import images, scores


def test_scores_become_float32_and_classes_int64() -> None:
    assert Form(None).check(torch.zeros(2, 3, dtype=torch.float64), 2).dtype == torch.float32
    assert Form(None).check(torch.tensor([4, 1], dtype=torch.int32), 2).dtype == torch.int64
    assert Form(None).check(torch.zeros(2, 3, 1, 1), 2).shape == (2, 3)
    column = torch.tensor([[4], [1]])  # as scikit-learn's servers give classes
    assert Form(5).check(column, 2).tolist() == [4, 1]


@pytest.mark.parametrize(
    ("output", "message"),
    [
        (torch.zeros(3, 4), r"gave torch.float32 of shape \(3, 4\) for 2 examples"),
        (torch.zeros(2), r"not scores \(2, classes\) or one integer class each"),
        (torch.zeros(2, 4, 3), r"of shape \(2, 4, 3\)"),
        (torch.zeros(()), r"of shape \(\)"),
        (torch.zeros(2, 4, dtype=torch.int64), r"torch.int64 of shape \(2, 4\)"),
        (torch.zeros(2, dtype=torch.complex64), "complex64"),
        (torch.zeros(2, 1), "gives one number an example"),
        (torch.tensor([[0, math.nan], [0, 0]]), "gave NaN or infinity"),
        (torch.tensor([[0, 1e300], [0, 0]], dtype=torch.float64), "gave NaN or infinity"),
        (torch.tensor([0, -1]), "gave class -1; 0 or more may come"),
    ],
)
def test_what_is_no_output_is_reported(output: Tensor, message: str) -> None:
    with pytest.raises(NoOutput, match=message):
        Form(None).check(output, 2)


def test_the_number_of_classes_is_held_to() -> None:
    with pytest.raises(NoOutput, match="gives scores for 4 classes, not for 10"):
        Form(10).check(torch.zeros(2, 4), 2)
    with pytest.raises(NoOutput, match="gave class 4; 0 to 3 may come"):
        Form(4).check(torch.tensor([4, 0]), 2)


@pytest.mark.parametrize("second", [torch.zeros(2, 5), torch.tensor([0, 1])])
def test_the_first_output_fixes_the_form(second: Tensor) -> None:
    form = Form(None)
    form.check(torch.zeros(3, 4), 3)
    with pytest.raises(NoOutput, match=r"but before with \(4,\)"):
        form.check(second, 2)


def _sized(sizes: list[int]) -> Callable[[Tensor], Tensor]:
    def predict(batch: Tensor) -> Tensor:
        sizes.append(len(batch))
        return scores(batch)

    return predict


@pytest.mark.parametrize(("fixed", "expected"), [(None, [3, 3, 1]), (4, [4, 4]), (1, [1] * 7)])
def test_images_are_split_and_padded(fixed: int | None, expected: list[int]) -> None:
    sizes: list[int] = []
    ask = checked("box", Opened("id", _sized(sizes), batch=fixed), Form(None), 3)
    assert torch.allclose(ask(images(7)), scores(images(7)))
    assert sizes == expected


def test_no_gradient_reaches_a_black_box() -> None:
    seen: list[Tensor] = []

    def predict(batch: Tensor) -> Tensor:
        seen.append(batch)
        return scores(batch)

    ask = checked("box", Opened("id", predict), Form(None), 8)
    assert not ask(images(2).double().requires_grad_()).requires_grad
    assert (seen[0].dtype, seen[0].requires_grad) == (torch.float32, False)


def test_a_black_box_without_retries_is_asked_once() -> None:
    asked: list[int] = []

    def ask() -> None:
        asked.append(1)
        raise NoOutput("is down")

    with pytest.raises(InputError, match=r"^box: is down$"):
        insist("box", 0, ask)
    assert len(asked) == 1
