"""Large sets are looked at once; what is remembered is what was seen."""

import pytest
import torch

from jemstone.data import DataSet, Images
from jemstone.errors import Mistake
from jemstone.experiments import sight
from jemstone.experiments.sight import look_once, open_eyes, refuse_few
from jemstone.metrics import compare, look


class Eye:
    """Sees pixels, and counts how often it is shown some."""

    knows_classes = True
    sha256 = "0" * 64

    def __init__(self, name="eye"):
        self.name = name
        self.shown = 0

    def __call__(self, x):
        self.shown += len(x)
        return x.flatten(1), x.flatten(1)[:, :3]


@pytest.fixture
def images(generator):
    pixels = (256 * generator.uniform((700, 1, 4, 4))).to(torch.uint8)
    return Images(pixels, torch.arange(700) % 3)


@pytest.fixture(autouse=True)
def _seven_hundred_are_many(monkeypatch):
    monkeypatch.setattr(sight, "_LARGE", 700)


def same(seen, again):
    return all(
        torch.equal(getattr(seen, name), getattr(again, name))
        for name in ("features", "logits", "labels", "pixels")
    )


def test_a_large_set_is_looked_at_once(images, tmp_path):
    eye, told = Eye(), []
    first = look_once(images, eye, "a test", tmp_path, told.append)
    again = look_once(images, eye, "a test", tmp_path, told.append)
    assert eye.shown == 700
    assert len(told) == 1
    assert "700 images" in told[0]
    assert same(first, again)
    assert same(first, look(images, eye))
    assert (again.extractor, again.knows_classes) == ("eye", True)


def test_a_small_set_leaves_nothing(images, tmp_path):
    eye = Eye()
    for _ in range(2):
        look_once(images.first(699), eye, "a test", tmp_path)
    assert eye.shown == 2 * 699
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("key", ["a train", "b test"])
def test_other_images_are_another_memory(key, images, tmp_path):
    eye = Eye()
    look_once(images, eye, "a test", tmp_path)
    look_once(images, eye, key, tmp_path)
    assert eye.shown == 1400


def test_another_judge_sees_for_itself(images, tmp_path):
    other = Eye()
    other.sha256 = "1" * 64
    for eye in (Eye(), other):
        look_once(images, eye, "a test", tmp_path)
    assert other.shown == 700


def test_a_damaged_memory_is_made_anew(images, tmp_path):
    eye = Eye()
    first = look_once(images, eye, "a test", tmp_path)
    (path,) = tmp_path.rglob("*.safetensors")
    path.write_bytes(path.read_bytes()[:500])
    assert same(first, look_once(images, eye, "a test", tmp_path))
    assert eye.shown == 1400
    assert same(first, look_once(images, eye, "a test", tmp_path))
    assert eye.shown == 1400


def test_a_memory_of_fewer_images_is_made_anew(images, tmp_path, monkeypatch):
    monkeypatch.setattr(sight, "_LARGE", 100)
    eye = Eye()
    look_once(images.first(100), eye, "a test", tmp_path)
    assert len(look_once(images, eye, "a test", tmp_path).features) == 700


@pytest.mark.parametrize(
    ("count", "held_out", "words"),
    [
        (29, [0, 0, 1, 1, 2, 2], "at least 30 here, 10 a class"),
        (30, [0, 0, 1, 1, 2], "holds out 5 images"),
        (30, [0, 0, 1, 1, 2, 2], None),
    ],
)
def test_what_has_no_figures_is_refused_before_and_nothing_else(images, count, held_out, words):
    labels = torch.tensor(held_out, dtype=torch.int64)
    test = Images(images.pixels[: len(labels)], labels)
    data = DataSet("few", images, test, ("a", "b", "c"), flip=False)
    if words is not None:
        with pytest.raises(Mistake, match=words):
            refuse_few(count, data)
        return
    refuse_few(count, data)
    eyes = open_eyes(Eye(), data)
    samples = look(Images(images.pixels[-count:], torch.arange(count) % 3), eyes.judge)
    assert compare(samples, eyes.reference, eyes.learnt, eyes.yardstick)["fid"] > 0


def test_no_two_of_a_class_are_too_few(images):
    labels = torch.arange(7)
    data = DataSet("alone", images, Images(images.pixels[:7], labels), tuple("abcdefg"), flip=False)
    with pytest.raises(Mistake, match="two of them of one class"):
        refuse_few(70, data)
