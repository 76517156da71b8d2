"""The kernel distance: against sums over pairs, its mean, and its interval."""

import itertools

import numpy as np
import pytest

from common.kernel_distance import distance, kernel, make_estimates, summarize


def by_hand(first, second):
    """The unbiased estimate, pair by pair."""
    def k(x, y):
        return (np.dot(x, y) / len(x) + 1) ** 3

    within = [np.mean([k(x, y) for x, y in itertools.permutations(s, 2)]) for s in (first, second)]
    return sum(within) - 2 * np.mean([k(x, y) for x in first for y in second])


def draw(rng, count, shift=0.0, dimensions=6):
    return rng.normal(shift, 1, (count, dimensions))


def test_kernel_of_a_table():
    np.testing.assert_allclose(kernel(np.array([[1.0, 2.0]]), np.array([[3.0, 1.0], [0, 0]])),
                               [[(5 / 2 + 1) ** 3, 1.0]])


def test_equals_the_sum_over_pairs():
    rng = np.random.default_rng(0)
    first, second = draw(rng, 7), draw(rng, 9, 0.5)
    assert distance(first, second).kid == pytest.approx(by_hand(first, second), rel=1e-12)


def test_blocks_make_no_difference(monkeypatch):
    rng = np.random.default_rng(6)
    first, second = draw(rng, 23), draw(rng, 17, 0.5)
    whole = distance(first, second)
    monkeypatch.setattr("common.kernel_distance.BLOCK", 5)
    assert distance(first, second) == pytest.approx(whole)


def test_is_unbiased_where_the_biased_estimate_is_not():
    rng = np.random.default_rng(1)
    values = [distance(draw(rng, 10), draw(rng, 10)).kid for _ in range(200)]
    error = np.std(values) / 200**0.5
    assert abs(np.mean(values)) < 3 * error
    # Two equal sets are nearer than two samples of one distribution are in the mean.
    same = draw(rng, 10)
    assert distance(same, same).kid < -3 * error


def test_grows_with_the_shift_and_is_symmetric():
    rng = np.random.default_rng(2)
    first = draw(rng, 200)
    near, far = (distance(first, draw(np.random.default_rng(3), 200, s)) for s in (0.3, 1.0))
    assert 0 < near.kid < far.kid
    second = draw(rng, 150, 0.3)
    assert distance(first, second).kid == pytest.approx(distance(second, first).kid)


def test_the_interval_covers_the_truth_about_as_often_as_it_says():
    rng = np.random.default_rng(4)
    truth = np.mean([distance(draw(rng, 200), draw(rng, 200, 0.7)).kid for _ in range(25)])
    found = [distance(draw(rng, 60), draw(rng, 60, 0.7)) for _ in range(100)]
    covered = np.mean([abs(one.kid - truth) < one.interval for one in found])
    assert 0.88 <= covered <= 0.99
    # Four times as many images: half the interval.
    few, many = (np.mean([distance(draw(rng, n), draw(rng, n, 0.7)).interval for _ in range(20)])
                 for n in (50, 200))
    assert many == pytest.approx(few / 2, rel=0.2)


def test_repeats_with_its_seed():
    rng = np.random.default_rng(5)
    first, second = draw(rng, 20), draw(rng, 20)
    assert distance(first, second, 1) == distance(first, second, 1)
    assert distance(first, second, 1).interval != distance(first, second, 2).interval


def test_estimates_of_one_set_after_another_are_those_of_each_alone():
    rng = np.random.default_rng(7)
    second = draw(rng, 30)
    estimate = make_estimates(second, seed=3)
    for count in (20, 12, 20):
        first = draw(rng, count, 0.4)
        assert summarize(estimate(first)) == pytest.approx(distance(first, second, 3))


def test_the_difference_of_two_sets_has_a_paired_interval():
    rng = np.random.default_rng(8)
    second, first = draw(rng, 100), draw(rng, 80, 0.5)
    near, far = (make_estimates(second)(first + shift) for shift in (0.0, 0.02))
    difference = summarize(far - near)
    assert difference.kid == pytest.approx(summarize(far).kid - summarize(near).kid)
    assert 0 < difference.interval < 0.2 * summarize(near).interval


@pytest.mark.parametrize("shapes", [((3, 4), (9, 4)), ((9, 4), (9, 5))])
def test_too_few_images_or_other_features_are_refused(shapes):
    with pytest.raises(ValueError, match="features of shapes"):
        distance(*map(np.zeros, shapes))
