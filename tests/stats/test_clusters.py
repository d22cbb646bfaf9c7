import numpy as np
import pytest
from scipy import stats

from bitcliff.errors import InputError
from bitcliff.stats import clustered_rate, rate


def test_clusters_of_one_have_the_exact_interval() -> None:
    for k in range(13):
        found, exact = clustered_rate([1] * k + [0] * (12 - k), [1] * 12), rate(k, 12)
        assert (found.k, found.n, found.clusters) == (k, 12, 12)
        assert (found.low, found.high) == pytest.approx((exact.low, exact.high))


def test_answers_that_repeat_themselves_are_worth_one() -> None:
    for k in range(11):
        found, exact = clustered_rate([3] * k + [0] * (10 - k), [3] * 10), rate(k, 10)
        assert (found.value, found.n, found.clusters) == (k / 10, 30, 10)
        assert (found.low, found.high) == pytest.approx((exact.low, exact.high))


def test_answers_that_do_not_hang_together_are_worth_all() -> None:
    found, exact = clustered_rate([1, 2] * 10, [3] * 20), rate(30, 60)
    assert (found.low, found.high) == pytest.approx((exact.low, exact.high))


def test_clusters_without_trials_do_not_count() -> None:
    assert clustered_rate([0, 1, 0, 1], [0, 1, 0, 2]) == clustered_rate([1, 1], [1, 2])
    nothing = clustered_rate([0, 0], [0, 0])
    assert (nothing.n, nothing.clusters, nothing.value, nothing.low) == (0, 0, None, None)
    assert clustered_rate([], []).n == 0


def test_a_single_cluster_says_as_much_as_one_trial() -> None:
    found = clustered_rate([2], [3])
    assert found.low is not None
    assert found.high is not None
    assert found.high - found.low > 0.9


# One is enough to see it fail; all of them take a minute.
@pytest.mark.parametrize(
    ("share", "alike"),
    [
        pytest.param(share, alike, marks=[] if (share, alike) == (0.3, 0.5) else [pytest.mark.slow])
        for share in (0.05, 0.3, 0.8)
        for alike in (0.1, 0.5, 0.95)
    ],
)
def test_the_interval_covers_the_truth(share: float, alike: float) -> None:
    """Clusters of five of a beta-binomial: `alike` is the correlation within one."""
    rng = np.random.default_rng(0)
    weight = (1 - alike) / alike
    shares = rng.beta(share * weight, (1 - share) * weight, size=(2000, 40))
    hits = rng.binomial(5, shares)
    found = [clustered_rate(row.tolist(), [5] * 40) for row in hits]
    covered = np.mean([(one.low or 0.0) <= share <= (one.high or 0.0) for one in found])
    assert covered > 0.935
    naive = [stats.binomtest(int(row.sum()), 200).proportion_ci() for row in hits[:400]]
    if alike > 0.3:  # and an interval that takes answers of one example for independent does not
        assert np.mean([one.low <= share <= one.high for one in naive]) < 0.9


def test_bad_counts_are_refused() -> None:
    for hits, trials in (([1], [1, 2]), ([2], [1]), ([-1], [1])):
        with pytest.raises(InputError):
            clustered_rate(hits, trials)
    with pytest.raises(InputError):
        clustered_rate([1], [1], confidence=1.0)
