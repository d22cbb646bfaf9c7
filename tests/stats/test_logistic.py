"""Logistic regression against scikit-learn's."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from bitcliff.errors import InputError
from bitcliff.stats.logistic import logistic


@pytest.mark.parametrize("penalty", [0.3, 1.0, 30.0])
def test_weights_are_scikit_learns(penalty: float) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(120, 3)) * [1, 50, 0.01] + [0, 7, -3]
    y = x[:, 0] + rng.normal(size=120) > 0.8
    found = logistic(x, y, penalty)
    scaled = (x - x.mean(0)) / x.std(0)
    theirs = LogisticRegression(C=1 / penalty, tol=1e-10, max_iter=1000).fit(scaled, y)
    np.testing.assert_allclose(found.weights, theirs.coef_[0], rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(found.scores(x), scaled @ theirs.coef_[0], rtol=1e-4, atol=1e-6)


def test_groups_told_apart_perfectly_have_finite_weights_and_steady_columns_none() -> None:
    x = np.column_stack([np.arange(40.0), np.full(40, 0.1)])
    found = logistic(x, np.arange(40) >= 20)
    assert 1 < found.weights[0] < 20
    assert abs(found.weights[1]) < 1e-12
    far = logistic(np.array([[0.0]] * 500 + [[1e9]]), np.arange(501) == 500)
    assert np.isfinite(far.weights).all()


@pytest.mark.parametrize(
    ("columns", "signs", "says"),
    [
        (np.zeros((3, 1)), [True, True, True], "both kinds"),
        (np.zeros((3, 1)), [True, False], "a row for each sign"),
        (np.array([[0.0], [np.nan]]), [True, False], "finite values"),
    ],
)
def test_what_cannot_be_fitted_is_refused(
    columns: "np.typing.NDArray[np.float64]", signs: list[bool], says: str
) -> None:
    with pytest.raises(InputError, match=says):
        logistic(columns, np.array(signs))
