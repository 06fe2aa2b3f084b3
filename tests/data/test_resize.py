"""Another size: the middle square, without aliases, the same for files and arrays."""

import numpy as np
import pytest
import torch
from PIL import Image

from jemstone.data import Images, load, load_unknown
from jemstone.data.pictures import read
from jemstone.data.resize import resized
from jemstone.errors import Mistake


def images(shape, count=5, mapped=False):
    draws = np.random.default_rng(0)
    pixels = torch.from_numpy(draws.integers(0, 256, (count, *shape), dtype=np.uint8))
    return Images(pixels, torch.arange(count), mapped)


SHAPES = [(1, 8, 8), (3, 8, 8), (3, 9, 14), (1, 20, 11)]
every = pytest.mark.parametrize("shape", SHAPES, ids=str)


@every
@pytest.mark.parametrize("size", [1, 4, 8, 13])
def test_arrays_and_files_are_resized_alike(shape, size, tmp_path):
    whole = images(shape)
    small = resized(whole, size, "toy")
    assert small.shape == (shape[0], size, size)
    assert torch.equal(small.labels, whole.labels)
    for pixels, expected in zip(whole.pixels, small.pixels, strict=True):
        Image.fromarray(pixels.permute(1, 2, 0).squeeze(2).numpy()).save(tmp_path / "a.png")
        back = read(str(tmp_path / "a.png"), grey=shape[0] == 1, size=size)
        assert np.array_equal(back, expected)


@every
def test_the_middle_square_counts_alone(shape):
    whole = images(shape)
    _, height, width = shape
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    whole.pixels[:, :, :top] = 0
    whole.pixels[:, :, top + side + 1 :] = 0
    whole.pixels[:, :, :, :left] = 0
    cut = Images(whole.pixels[:, :, top : top + side, left : left + side], whole.labels)
    if (height - side) % 2 == (width - side) % 2 == 0:
        assert torch.equal(resized(whole, 4, "toy").pixels, resized(cut, 4, "toy").pixels)
    assert torch.equal(resized(cut, side, "toy").pixels, cut.pixels)


def test_fine_lines_become_grey_and_not_stripes():
    """Every second column is white: to take every second pixel would give white or black."""
    pixels = torch.zeros(1, 1, 32, 32, dtype=torch.uint8)
    pixels[..., ::2] = 255
    inside = resized(Images(pixels, torch.zeros(1).long()), 16, "toy").pixels[..., 4:-4].float()
    assert (inside - 127.5).abs().max() < 30


def test_what_is_mapped_stays_mapped(tmp_path, monkeypatch):
    monkeypatch.setenv("JEMSTONE_CACHE", str(tmp_path))
    in_memory = resized(images((3, 8, 8)), 4, "toy")
    mapped = resized(images((3, 8, 8), mapped=True), 4, "toy")
    assert (in_memory.mapped, mapped.mapped) == (False, True)
    assert torch.equal(in_memory.pixels, mapped.pixels)
    monkeypatch.setattr("jemstone.data.resize.square", None)
    again = resized(images((3, 8, 8), mapped=True), 4, "toy")
    assert torch.equal(again.pixels, mapped.pixels)


def test_other_channels_are_a_mistake():
    with pytest.raises(Mistake, match="channels"):
        resized(images((2, 8, 8)), 4, "toy")


def test_a_named_set_is_resized_where_that_is_asked_for():
    digits = load("digits", resize=16)
    assert digits.shape == (1, 16, 16)
    assert load_unknown("digits", resize=16).images.shape == (1, 16, 16)
    assert torch.equal(digits.train.labels, load("digits").train.labels)
