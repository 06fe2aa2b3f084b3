"""Unknown images are of the known ones' shape, and made as they say."""

import numpy as np
import pytest
import torch
from PIL import Image

from jemstone.data import UNKNOWN, Images, load, unknown_like
from jemstone.errors import Mistake
from jemstone.random import Generator


def known(shape=(3, 8, 6), count=20, classes=4):
    pixels = (Generator(0).uniform((count, *shape)) * 255).to(torch.uint8)
    return Images(pixels, torch.arange(count) % classes)


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 8, 6), (1, 1, 1)])
@pytest.mark.parametrize("name", UNKNOWN)
def test_sets_are_made_in_the_known_shape(name, shape):
    images = known(shape)
    made = unknown_like(name, images, Generator(1))
    assert made.pixels.shape == images.pixels.shape
    assert torch.equal(made.pixels, unknown_like(name, images, Generator(1)).pixels)
    assert len(unknown_like(name, images, Generator(1), count=7)) == 7


def test_constant_images_are_one_colour():
    made = unknown_like("constant", known(), Generator(1)).pixels
    assert (made == made[:, :, :1, :1]).all()
    assert made[:, 0, 0, 0].unique().numel() > 10


def test_interpolations_are_of_two_classes():
    images = known((1, 2, 2), 21, 3)
    own = torch.zeros_like(images.pixels)
    own[:] = (images.labels * 100).to(torch.uint8)[:, None, None, None]
    made = unknown_like("interpolation", Images(own, images.labels), Generator(1)).pixels
    # The mean of labels 0, 100 and 200 with another of them, never with its own.
    assert set(made.unique().tolist()) <= {50, 100, 150}
    shares = {value: int((made[:, 0, 0, 0] == value).sum()) for value in (50, 100, 150)}
    assert sum(shares.values()) == 21
    alike = (made == own).all(dim=(1, 2, 3)) & (images.labels != 1)
    assert not alike.any()


def test_blurring_keeps_the_mean_and_lessens_the_contrast():
    images = known((1, 20, 20))
    made = unknown_like("blurred", images, Generator(1))
    assert made.x.mean() == pytest.approx(float(images.x.mean()), abs=0.01)
    assert made.x.std() < 0.4 * images.x.std()
    flat = Images(torch.full((2, 1, 9, 9), 77, dtype=torch.uint8), torch.zeros(2).long())
    assert torch.equal(unknown_like("blurred", flat, Generator(1)).pixels, flat.pixels)


@pytest.mark.parametrize("shape", [(4, 10, 10), (4, 10, 10, 3), (4, 5, 7)])
def test_archives_are_fitted(shape, tmp_path):
    grey = np.full(shape, 100, dtype=np.uint8)
    np.savez(tmp_path / "strange.npz", test_images=grey)
    for like in (known((1, 8, 8)), known((3, 10, 10))):
        told = []
        name = str(tmp_path / "strange.npz")
        made = unknown_like(name, like, Generator(0), told=told.append)
        assert made.shape == like.shape
        assert (made.pixels == 100).all()
        height, width, channels = (*shape[1:], 1)[:3]
        same = (channels, height, width) == like.shape
        assert len(told) == (0 if same else 1)
        fitted = f"are fitted to {'x'.join(map(str, like.shape))}"
        assert all(line.endswith(fitted) for line in told)


def test_pictures_of_many_sizes_are_fitted(tmp_path, monkeypatch):
    monkeypatch.setenv("JEMSTONE_CACHE", str(tmp_path / "cache"))
    for number in range(8):
        path = tmp_path / "strange" / "ab"[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (9 + number, 12), (100, 100, 100)).save(path)
    for name, root in ((str(tmp_path / "strange"), None), ("strange", tmp_path)):
        told = []
        made = unknown_like(name, known((1, 8, 8)), Generator(0), root=root, told=told.append)
        assert made.shape == (1, 8, 8)
        assert (made.pixels == 100).all()
        assert told == [f"unknown inputs {name}: pictures of other sizes are fitted to 1x8x8"]


def test_images_of_a_named_set_may_be_floats():
    moons = load("moons").test.first(4)
    assert unknown_like("moons", moons, Generator(0)).pixels.dtype == torch.uint8


def test_what_is_not_there_is_told(tmp_path):
    np.savez(tmp_path / "none.npz", test_images=np.zeros((0, 4, 4), dtype=np.uint8))
    np.savez(tmp_path / "floats.npz", test_images=np.zeros((2, 4, 4)))
    for name, words in {
        "blured": "did you mean 'blurred'",
        str(tmp_path / "absent.npz"): "not there",
        str(tmp_path / "none.npz"): "no images",
        str(tmp_path / "floats.npz"): "uint8",
    }.items():
        with pytest.raises(Mistake, match=words):
            unknown_like(name, known(), Generator(0))
