import pytest
import torch

from jemstone.data import DataSet, Images, to_bytes
from jemstone.errors import Mistake


def images(count=6, shape=(1, 4, 4), classes=3):
    pixels = torch.randint(0, 256, (count, *shape), dtype=torch.uint8)
    return Images(pixels, torch.arange(count) % classes)


def test_every_byte_survives_the_way_to_floats_and_back():
    pixels = torch.arange(256, dtype=torch.uint8).reshape(4, 1, 8, 8)
    x = Images(pixels, torch.zeros(4, dtype=torch.int64)).x
    assert x.dtype == torch.float32
    assert x.min() == 0
    assert x.max() == 1
    assert torch.equal(to_bytes(x), pixels)


@pytest.mark.parametrize(
    ("value", "byte"),
    [(-0.2, 0), (0.0, 0), (0.49 / 255, 0), (0.51 / 255, 1), (1.0, 255), (7.0, 255)],
)
def test_floats_are_rounded_to_the_nearest_byte(value, byte):
    assert to_bytes(torch.full((1, 1, 2, 2), value)).unique().tolist() == [byte]


def test_floats_at_rest_are_handed_out_as_they_are():
    pixels = torch.rand(6, 2, 1, 1)
    part = Images(pixels, torch.arange(6) % 2)
    assert torch.equal(part.x, pixels)
    assert torch.equal(part.take(torch.tensor([3, 1])).x, pixels[[3, 1]])
    assert torch.equal(part.bytes, to_bytes(pixels))
    whole = images()
    assert torch.equal(whole.bytes, whole.pixels)


@pytest.mark.parametrize("size", [1, 4, 6, 100])
def test_batches_are_the_whole_set_in_order(size):
    part = images()
    batches = list(part.batches(size))
    assert torch.equal(torch.cat([b.x for b in batches]), part.x)
    assert torch.equal(torch.cat([b.y for b in batches]), part.y)
    assert all(len(b.x) == size for b in batches[:-1])


def test_images_are_taken_by_place():
    part, places = images(), torch.tensor([4, 0, 4])
    batch = part.take(places)
    assert torch.equal(batch.x, part.x[places])
    assert torch.equal(batch.y, part.y[places])


@pytest.mark.parametrize(("count", "length"), [(None, 6), (0, 0), (4, 4), (99, 6)])
def test_the_first_images_are_a_set(count, length):
    part = images()
    assert torch.equal(part.first(count).pixels, part.pixels[:length])
    assert torch.equal(part.first(count).labels, part.labels[:length])


@pytest.mark.parametrize(
    ("pixels", "labels", "reason"),
    [
        (torch.rand(2, 1, 4, 4, dtype=torch.float64), torch.zeros(2), "uint8 or float32"),
        (torch.full((2, 1, 4, 4), 1.01), torch.zeros(2), r"outside \[0, 1\]"),
        (torch.full((2, 1, 4, 4), torch.nan), torch.zeros(2), r"outside \[0, 1\]"),
        (torch.zeros(2, 4, 4, dtype=torch.uint8), torch.zeros(2), "uint8"),
        (torch.zeros(2, 1, 4, 4, dtype=torch.uint8), torch.zeros(3), "one label for each"),
        (torch.zeros(2, 1, 4, 4, dtype=torch.uint8), torch.zeros(2, 1), "one label for each"),
    ],
)
def test_images_and_labels_that_do_not_fit_are_a_mistake(pixels, labels, reason):
    with pytest.raises(Mistake, match=reason):
        Images(pixels, labels)


@pytest.mark.parametrize(
    ("train", "test", "reason"),
    [
        (images(), images(shape=(1, 4, 5)), "same"),
        (images(), images(shape=(3, 4, 4)), "same"),
        (images(0), images(), "no images"),
        (images(), images(0), "no images"),
        (images(), images(classes=4), "labels go from 0 to 3"),
        (images(classes=4), images(), "labels go from 0 to 3"),
        (images(), Images(images().pixels, torch.arange(6) - 1), "labels go from -1"),
    ],
)
def test_splits_that_do_not_fit_are_a_mistake_of_one_line(train, test, reason):
    with pytest.raises(Mistake, match=reason) as told:
        DataSet("toy", train, test, tuple("abc"), flip=False)
    assert "\n" not in str(told.value)
