"""A guard's rule in torch."""

import math
from dataclasses import replace

import numpy as np
import torch
from scipy import stats

from bitcliff.policy.guard import Guard, score_signals
from bitcliff.stats.logistic import Linear

GUARD = Guard(("margin", "entropy"), (-1.0, 0.5), (2.0, 0.25), (-1.5, 0.75), 0.2)


def scores(n: int = 50) -> torch.Tensor:
    return 3 * torch.randn(n, 6, generator=torch.Generator().manual_seed(0))


def test_signals_of_scores_are_those_by_hand() -> None:
    given = scores()
    found = score_signals(given)
    ordered = given.double().sort(1).values
    torch.testing.assert_close(found["margin"].exp() - 1e-3, ordered[:, -1] - ordered[:, -2])
    entropy = stats.entropy(given.double().softmax(1).numpy(), axis=1)
    np.testing.assert_allclose(found["entropy"].exp().numpy() - 1e-3, entropy, atol=1e-12)
    sure = score_signals(torch.tensor([[500.0, 0.0, -500.0]]))
    np.testing.assert_allclose(sure["entropy"].numpy(), [math.log(1e-3)])


def test_the_rule_is_that_of_the_statistics() -> None:
    signals = score_signals(scores())
    columns = np.column_stack([signals[name].numpy() for name in GUARD.signals])
    linear = Linear(*map(np.array, (GUARD.centre, GUARD.spread, GUARD.weights)))
    ours = linear.scores(columns)
    np.testing.assert_allclose(GUARD.suspicion(signals).numpy(), ours, atol=1e-12)
    flagged = GUARD.flagged(scores(), signals)
    assert flagged.tolist() == (ours.round(6) >= GUARD.threshold).tolist()
    assert 0 < int(flagged.sum()) < len(flagged)


def test_without_finite_scores_an_example_is_flagged_whatever_the_threshold() -> None:
    given = scores(4)
    given[1, 2], given[2, 0] = math.nan, math.inf
    signals = {name: torch.zeros(4) for name in GUARD.signals}
    assert replace(GUARD, threshold=math.inf).flagged(given, signals).tolist() == [
        False,
        True,
        True,
        False,
    ]
    assert replace(GUARD, threshold=-math.inf).flagged(given, signals).all()


def test_it_can_be_followed_by_gradients() -> None:
    given = scores(8).requires_grad_()
    before = GUARD.suspicion(score_signals(given))
    (gradient,) = torch.autograd.grad(before.sum(), given)
    after = GUARD.suspicion(score_signals(given.detach() - 1e-4 * gradient))
    assert (after < before).all()
