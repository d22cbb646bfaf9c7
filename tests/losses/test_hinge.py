import numpy as np
import pytest
import torch
from scipy.special import softmax

from bitcliff.errors import InputError
from bitcliff.losses import brittle_hinge, robust_hinge


def by_definition(
    quantized: np.ndarray, teacher: np.ndarray, margin: float, kind: str
) -> list[float]:
    losses = []
    for p, t in zip(softmax(quantized, axis=1), teacher, strict=True):
        first = int(np.argmax(t))
        without = [k for k in range(len(t)) if k != first]
        second = max(without, key=lambda k: t[k])
        rival = max(p[k] for k in without)
        gap = p[first] - p[second] if kind == "robust" else rival - p[first]
        losses.append(max(0.0, margin - gap))
    return losses


@pytest.mark.parametrize("margin", [0.25, 0.5, 0.75])
@pytest.mark.parametrize(("kind", "loss"), [("robust", robust_hinge), ("brittle", brittle_hinge)])
def test_it_is_the_papers_equation(kind: str, loss: object, margin: float) -> None:
    quantized, teacher = 2 * np.random.default_rng(1).normal(size=(2, 50, 6))
    found = loss(torch.tensor(quantized), torch.tensor(teacher), margin)  # type: ignore[operator]
    expected = by_definition(quantized, teacher, margin, kind)
    assert found.tolist() == pytest.approx(expected, rel=1e-12)
    assert 0 < max(expected) < 1 + margin


def test_where_the_margin_is_met_there_is_no_gradient() -> None:
    sure = torch.tensor([[9.0, 0.0, 0.0]], requires_grad=True)
    robust_hinge(sure, torch.tensor([[2.0, 1.0, 0.0]])).sum().backward()
    assert torch.equal(sure.grad, torch.zeros(1, 3))  # type: ignore[arg-type]


def test_brittle_pushes_the_teachers_class_down() -> None:
    logits = torch.zeros(1, 3, requires_grad=True)
    brittle_hinge(logits, torch.tensor([[5.0, 1.0, 0.0]])).sum().backward()
    assert logits.grad is not None
    assert logits.grad[0, 0] > 0 > logits.grad[0, 1:].min()


def test_one_class_is_refused() -> None:
    with pytest.raises(InputError, match="two classes or more, not 1"):
        robust_hinge(torch.zeros(2, 1), torch.zeros(2, 1))
