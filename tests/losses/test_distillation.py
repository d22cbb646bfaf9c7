import numpy as np
import pytest
import torch
from scipy.special import rel_entr, softmax

from bitcliff.errors import InputError
from bitcliff.losses import distillation_loss


@pytest.mark.parametrize("temperature", [0.5, 1, 5.0])
def test_it_is_scipys_relative_entropy(temperature: float) -> None:
    rng = np.random.default_rng(0)
    student, teacher = 3 * rng.normal(size=(2, 7, 11))
    p, q = (softmax(x / temperature, axis=1) for x in (teacher, student))
    loss = distillation_loss(torch.tensor(student), torch.tensor(teacher), temperature)
    assert loss.item() == pytest.approx(temperature**2 * rel_entr(p, q).sum(1).mean(), rel=1e-12)


def test_it_vanishes_where_both_agree_and_only_there() -> None:
    logits = torch.randn(4, 5)
    assert distillation_loss(logits, logits + 3.0, 2).item() == pytest.approx(0.0, abs=1e-6)
    assert distillation_loss(logits, logits.flip(1), 2).item() > 0


def test_the_teacher_gets_no_gradient() -> None:
    student, teacher = (torch.randn(4, 5).requires_grad_() for _ in range(2))
    distillation_loss(student, teacher, 5).backward()
    assert teacher.grad is None
    # d KL / d logits = (q - p) / tau for each example, times tau^2.
    p, q = ((x.detach() / 5).softmax(1) for x in (teacher, student))
    torch.testing.assert_close(student.grad, (q - p) * 5 / 4)


def test_confident_logits_do_not_overflow() -> None:
    loss = distillation_loss(torch.tensor([[500.0, -500.0]]), torch.tensor([[-500.0, 500.0]]))
    assert loss.item() == pytest.approx(1000.0)


def test_a_temperature_that_is_not_positive_is_refused() -> None:
    with pytest.raises(InputError, match="temperature must be positive, not 0"):
        distillation_loss(torch.zeros(1, 2), torch.zeros(1, 2), 0)
