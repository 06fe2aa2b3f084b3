import pytest
import torch

from jemstone.data import Epochs, Images
from jemstone.random import Generator


def numbered(count):
    """Images that can be told apart, by their labels."""
    return Images(torch.zeros(count, 1, 2, 2, dtype=torch.uint8), torch.arange(count))


SIZES = [(20, 4), (21, 4), (3, 4), (7, 7), (1, 1), (100, 64)]
sizes = pytest.mark.parametrize(("count", "batch_size"), SIZES)


@sizes
def test_an_epoch_visits_each_image_at_most_once(count, batch_size, generator):
    epochs = Epochs(numbered(count), batch_size, generator)
    size = min(count, batch_size)
    assert epochs.steps_per_epoch == count // size
    for epoch in range(3):
        first = epoch * epochs.steps_per_epoch
        seen = torch.cat([epochs.batch(first + n).y for n in range(epochs.steps_per_epoch)])
        assert len(seen) == epochs.steps_per_epoch * size
        assert len(seen.unique()) == len(seen)


@sizes
def test_a_batch_is_a_function_of_seed_and_step(count, batch_size, generator):
    images = numbered(count)
    forward = Epochs(images, batch_size, generator)
    batches = [forward.batch(step).y for step in range(12)]
    for step in (11, 3, 0, 7, 7):
        assert torch.equal(Epochs(images, batch_size, generator).batch(step).y, batches[step])
        assert torch.equal(forward.batch(step).y, batches[step])


@sizes
@pytest.mark.parametrize("world", [1, 2, 3])
def test_shares_of_a_batch_are_the_batch(count, batch_size, world, generator):
    epochs = Epochs(numbered(count), batch_size, generator)
    whole = epochs.batch(2).y
    for rank in range(world):
        share = slice(rank, None, world)
        assert torch.equal(epochs.batch(2, share).y, whole[share])


def test_epochs_and_seeds_have_orders_of_their_own():
    orders = []
    for seed in (0, 1):
        epochs = Epochs(numbered(50), 50, Generator(seed))
        orders += [epochs.batch(epoch).y.tolist() for epoch in range(3)]
    assert len({tuple(order) for order in orders}) == 6


def test_the_remainder_is_another_one_in_each_epoch(generator):
    epochs = Epochs(numbered(21), 4, generator)
    left = [
        set(range(21)) - set(torch.cat([epochs.batch(5 * e + n).y for n in range(5)]).tolist())
        for e in range(20)
    ]
    assert len(set.union(*left)) > 5


@pytest.mark.parametrize(("count", "batches"), [(0, 0), (2, 2), (5, 5), (99, 5)])
def test_some_batches_are_a_sample_without_doubles(count, batches, generator):
    epochs = Epochs(numbered(21), 4, generator)
    some = [batch.y for batch in epochs.some(count)]
    assert len(some) == batches
    assert all(len(y) == 4 for y in some)
    assert len({int(label) for y in some for label in y}) == 4 * batches
    before = epochs.batch(3).y
    list(epochs.some(2))
    assert torch.equal(epochs.batch(3).y, before)
