"""Intervals of means, of paired differences and of shares."""

import numpy as np

from common import intervals


def test_a_paired_interval_is_narrow_where_the_pairs_differ_alike():
    rng = np.random.default_rng(0)
    hard = rng.normal(20, 5, 50)  # images differ more than methods do
    found = intervals.paired_interval(hard + 0.5 + rng.normal(0, 0.1, 50), hard)
    assert found["low"] < found["difference"] < found["high"]
    assert 0.4 < found["low"] and found["high"] < 0.6
    low, high = intervals.mean_interval(hard)
    assert low < hard.mean() < high and high - low > 1.5
    assert intervals.mean_interval(np.full(5, 3.0)) == (3.0, 3.0)


def test_a_mean_stands_beside_its_interval():
    values = np.arange(10.0)
    found = intervals.with_interval("score", values)
    assert found["score"] == 4.5
    assert (found["score_low"], found["score_high"]) == intervals.mean_interval(values)


def test_wilson_interval():
    np.testing.assert_allclose(intervals.wilson_interval(0.8, 10), (0.4902, 0.9433), atol=1e-4)
    np.testing.assert_allclose(intervals.wilson_interval(0, 10), (0, 0.2775), atol=1e-4)
    low, high = intervals.wilson_interval(384 / 480, 480)
    assert 0.761 < low < 0.763 and 0.832 < high < 0.834
