import pytest
import torch
from scipy import stats
from torch.nn import functional as F

from jemstone.data import Augmentation
from jemstone.random import Generator

AUGMENTATIONS = [
    Augmentation(),
    Augmentation(flip=True),
    Augmentation(padding=1),
    Augmentation(padding=3, flip=True),
]
every = pytest.mark.parametrize("augmentation", AUGMENTATIONS, ids=str)


@pytest.fixture
def x():
    return torch.rand(40, 3, 6, 5)


@every
@pytest.mark.parametrize("shape", [(40, 3, 6, 5), (1, 1, 8, 8), (0, 1, 8, 8)])
def test_shape_range_and_type_stay(augmentation, shape, generator):
    x = torch.rand(shape)
    moved = augmentation(x, generator)
    assert moved.shape == shape
    assert moved.dtype == x.dtype
    assert torch.isin(moved, x).all()  # so the range stays, too


@every
def test_the_move_depends_on_the_seed_and_the_images_number_alone(augmentation, x, generator):
    whole, places = augmentation(x, generator), torch.tensor([31, 7, 0])
    assert torch.equal(augmentation(x[places], generator.at(places)), whole[places])
    assert torch.equal(augmentation(x, generator), whole)
    still = augmentation == Augmentation()
    assert torch.equal(augmentation(x, Generator(1)), whole) == still
    assert torch.equal(whole, x) == still


@pytest.mark.parametrize("padding", [1, 2, 4])
def test_a_crop_is_the_crop_by_hand(padding, x, generator):
    moved = Augmentation(padding=padding)(x, generator)
    padded = F.pad(x, (padding,) * 4, mode="reflect")
    draws = [
        generator.fold("crop").fold(a).integers(40, 2 * padding + 1) for a in ("rows", "columns")
    ]
    for i, (row, column) in enumerate(zip(*draws, strict=True)):
        assert torch.equal(moved[i], padded[i, :, row : row + 6, column : column + 5])


@pytest.mark.parametrize("padding", [1, 2])
def test_every_window_is_as_likely(padding, generator):
    """The pixel in the middle tells how far a numbered image was moved."""
    x = torch.arange(30.0).reshape(1, 1, 6, 5).expand(4000, -1, -1, -1)
    middle = Augmentation(padding=padding)(x, generator)[:, 0, 2, 2]
    _, counts = middle.unique(return_counts=True)
    assert len(counts) == (2 * padding + 1) ** 2
    assert stats.chisquare(counts.numpy()).pvalue > 1e-3


def test_half_of_the_images_are_mirrored(x, generator):
    x = x.repeat(100, 1, 1, 1)
    moved = Augmentation(flip=True)(x, generator)
    mirrored = (moved == x.flip(-1)).flatten(1).all(dim=1)
    same = (moved == x).flatten(1).all(dim=1)
    assert (mirrored ^ same).all()
    assert abs(int(mirrored.sum()) - 2000) < 5 * 4000**0.5 / 2


def test_crop_and_mirror_are_drawn_apart(generator):
    x = torch.rand(2000, 1, 6, 5)
    flips = (Augmentation(flip=True)(x, generator) != x).flatten(1).any(dim=1)
    stays = (Augmentation(padding=1)(x, generator) == x).flatten(1).all(dim=1)
    together = torch.corrcoef(torch.stack([flips, stays]).double())[0, 1]
    assert together.abs() < 5 / 2000**0.5


@every
def test_a_single_pixel_stays(augmentation, generator):
    x = torch.rand(9, 2, 1, 1)
    assert torch.equal(augmentation(x, generator), x)
