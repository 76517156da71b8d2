"""Input pipelines start at any step."""

import numpy as np
import pytest
import tensorflow as tf

from common import inputs


def take(count, *args, skip=0):
    return [(int(step), indices.numpy()) for step, indices in
            inputs.index_batches(*args).skip(skip).take(count)]


@pytest.mark.parametrize(
    ("num_examples", "batch_size"), [(12, 4), (10, 4), (5, 7), (1, 2), (97, 8)]
)
def test_every_epoch_is_a_permutation(num_examples, batch_size):
    epochs = 3
    batches = take(-(-epochs * num_examples // batch_size), num_examples, batch_size, 5)
    assert [step for step, _ in batches] == list(range(len(batches)))
    assert all(indices.shape == (batch_size,) for _, indices in batches)
    order = np.concatenate([indices for _, indices in batches])[: epochs * num_examples]
    for epoch in order.reshape(epochs, num_examples):
        assert sorted(epoch) == list(range(num_examples))


@pytest.mark.parametrize("start_step", [1, 7, 1000])
def test_starting_later_is_the_same_as_skipping(start_step):
    whole = take(3, 10, 4, 5, skip=start_step)
    later = take(3, 10, 4, 5, start_step)
    for (step, indices), (other_step, other) in zip(whole, later, strict=True):
        assert step == other_step
        np.testing.assert_array_equal(indices, other)


def test_epochs_and_seeds_differ():
    orders = [tuple(indices) for seed in (0, 1, 2) for _, indices in take(3, 50, 50, seed)]
    assert len(set(orders)) == 9
    assert all(order != tuple(range(50)) for order in orders)


def test_finish_keeps_the_short_last_batch():
    dataset = tf.data.Dataset.range(10)
    assert [len(batch) for batch in inputs.finish(dataset, 4)] == [4, 4, 2]
    assert len(list(inputs.finish(dataset))) == 10
