import math

import pytest
import torch
from scipy import stats

from jemstone.errors import Mistake
from jemstone.files import write_tensors
from jemstone.functional.gaussian import count_numbers, draw_gaussian
from jemstone.samplers import ClassGaussian, Uniform

SHAPE = (2, 2, 1)


STATISTICS = {
    "means": torch.rand(3, 4),
    "factors": torch.rand(3, 4, 4),
    "shape": torch.tensor(SHAPE),
}
RANKS = [None, 0, 2, 4]


@pytest.fixture
def labelled():
    labels = torch.arange(90) % 3
    return (0.25 * labels[:, None, None, None] + 0.2 * torch.rand(90, *SHAPE)).clamp(0, 1), labels


@pytest.fixture(params=RANKS, ids=lambda rank: f"rank {rank}")
def gaussian(request, labelled):
    return ClassGaussian.fit(*labelled, jitter=1e-4, rank=request.param)


@pytest.fixture(params=["uniform", "class-gaussian"])
def init(request, gaussian):
    return Uniform(SHAPE) if request.param == "uniform" else gaussian


def test_an_init_gives_one_image_in_the_box_for_each_label(init, generator):
    y = torch.tensor([2, 0, 2, 1, 1])
    x = init(y, generator)
    assert x.shape == (5, *SHAPE)
    assert x.dtype == torch.float32
    assert 0 <= x.min() <= x.max() <= 1
    assert len(x.flatten(1).unique(dim=0)) == 5


def test_the_image_of_a_place_depends_on_its_number_and_label_alone(init, generator):
    y, places = torch.tensor([2, 0, 2, 1, 1]), torch.tensor([3, 0])
    alone = init(y[places], generator.at(places))
    torch.testing.assert_close(alone, init(y, generator)[places])


def test_uniform_is_uniform_whatever_the_label(generator):
    y = torch.arange(3000) % 3
    x = Uniform(SHAPE)(y, generator)
    assert stats.kstest(x.flatten().numpy(), "uniform").pvalue > 1e-3
    assert torch.equal(x, Uniform(SHAPE)(torch.zeros_like(y), generator))


def test_draws_are_those_of_the_fit_clamped(gaussian, generator):
    y = torch.arange(3).repeat(4000)
    rank = gaussian.factors.shape[2]
    rest = torch.zeros_like(gaussian.means) if gaussian.deviations is None else gaussian.deviations
    normal = generator.normal((len(y), rank + (gaussian.deviations is not None) * rest.shape[1]))
    draws = draw_gaussian(gaussian.means, gaussian.factors, y, normal, gaussian.deviations)
    assert torch.equal(gaussian(y, generator).flatten(1), draws.clamp(0, 1))
    for k in range(3):
        spread = (gaussian.factors[k].square().sum(dim=1) + rest[k].square()).sqrt()
        error = (draws[y == k].mean(dim=0) - gaussian.means[k]) / spread
        assert error.abs().max() < 5 / math.sqrt(4000)
        ratio = draws[y == k].var(dim=0) / spread.square()
        assert (ratio - 1).abs().max() < 5 * math.sqrt(2 / 4000)


def test_statistics_come_back_from_their_file(gaussian, generator, tmp_path):
    gaussian.save(tmp_path / "init.safetensors")
    back = ClassGaussian.load(tmp_path / "init.safetensors")
    assert torch.equal(back.means, gaussian.means)
    assert torch.equal(back.factors, gaussian.factors)
    assert (back.deviations is None) == (gaussian.deviations is None)
    assert back.shape == gaussian.shape
    y = torch.arange(3)
    assert torch.equal(back(y, generator), gaussian(y, generator))


@pytest.mark.parametrize("rank", RANKS)
def test_the_file_holds_as_many_numbers_as_are_counted(rank, labelled, tmp_path):
    path = tmp_path / "init.safetensors"
    ClassGaussian.fit(*labelled, jitter=1e-4, rank=rank).save(path)
    header = int.from_bytes(path.read_bytes()[:8], "little")
    numbers = count_numbers(math.prod(SHAPE), 3, rank)
    assert path.stat().st_size == 8 + header + 4 * numbers + 8 * len(SHAPE)


@pytest.mark.parametrize("rank", RANKS)
def test_bytes_fit_as_the_floats_that_they_stand_for(rank, labelled):
    images, labels = (255 * labelled[0]).round().to(torch.uint8), labelled[1]
    of_bytes = ClassGaussian.fit(images, labels, jitter=1e-4, rank=rank)
    of_floats = ClassGaussian.fit(images.float() / 255.0, labels, jitter=1e-4, rank=rank)
    assert torch.equal(of_bytes.means, of_floats.means)
    assert torch.equal(of_bytes.factors, of_floats.factors)


@pytest.mark.parametrize("rank", [-1, 5])
def test_a_rank_beyond_the_pixels_is_a_mistake(rank, labelled):
    with pytest.raises(Mistake, match="images of 4 numbers"):
        ClassGaussian.fit(*labelled, rank=rank)


@pytest.mark.parametrize("value", [math.nan, 1.5, -0.1])
def test_pixels_outside_the_box_are_a_mistake(value, labelled):
    images, labels = labelled
    images[7, 0, 0, 0] = value
    with pytest.raises(Mistake, match="outside"):
        ClassGaussian.fit(images, labels)


@pytest.mark.parametrize("rank", RANKS)
@pytest.mark.parametrize(
    ("labels", "classes"),
    [([0, 0, 1, 1, 2], None), ([0, 0, 2, 2, 2], None), ([0, 0, 1, 1, 1], 3), ([0, 1, 2, 3, 4], 9)],
)
def test_a_class_of_too_few_images_can_be_drawn(labels, classes, rank, generator):
    gaussian = ClassGaussian.fit(torch.rand(5, *SHAPE), torch.tensor(labels), classes, rank=rank)
    x = gaussian(torch.arange(len(gaussian.means)), generator)
    assert 0 <= x.min() <= x.max() <= 1


@pytest.mark.parametrize("labels", [[0, 0, 1, 1, 3], [0, 0, 1, 1, -1]])
def test_a_label_of_no_class_is_a_mistake(labels):
    with pytest.raises(Mistake, match=r"outside 0\.\.2"):
        ClassGaussian.fit(torch.rand(5, *SHAPE), torch.tensor(labels), 3)


def test_pixels_that_never_vary_without_jitter_are_a_mistake():
    with pytest.raises(Mistake, match="jitter"):
        ClassGaussian.fit(torch.zeros(4, *SHAPE), torch.tensor([0, 0, 1, 1]), jitter=0.0)


@pytest.mark.parametrize(
    "tensors",
    [
        None,
        {"means": torch.rand(3, 4)},
        {"means": torch.rand(3, 4), "factors": torch.rand(3, 4, 4), "shape": torch.tensor([2, 2])},
        STATISTICS | {"factors": torch.rand(3, 4, 2)},
        STATISTICS | {"factors": torch.rand(3, 4)},
        STATISTICS | {"deviations": torch.rand(3, 3)},
        STATISTICS | {"deviations": torch.rand(3, 4), "factors": torch.rand(3, 4, 5)},
        STATISTICS | {"deviations": torch.rand(3, 4, dtype=torch.float64)},
    ],
    ids=[
        "missing file",
        "missing tensors",
        "bad shape",
        "a rank without deviations",
        "factors that are none",
        "deviations of other images",
        "more directions than pixels",
        "doubles",
    ],
)
def test_a_file_without_the_statistics_is_a_mistake(tensors, tmp_path):
    path = tmp_path / "init.safetensors"
    if tensors is not None:
        write_tensors(path, tensors)
    with pytest.raises(Mistake, match=r"init.safetensors"):
        ClassGaussian.load(path)


def test_draws_in_the_midst_of_bf16_training_are_in_float32(generator):
    images, labels = torch.rand(40, 1, 4, 4), torch.arange(40) % 2
    init, y = ClassGaussian.fit(images, labels), torch.arange(8) % 2
    with torch.autocast("cpu", torch.bfloat16):
        found = init(y, generator)
    assert torch.equal(found, init(y, generator))
