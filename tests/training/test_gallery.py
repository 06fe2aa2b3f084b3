"""Pictures of a run: of its chains, sorted by class, few, and never in the run's way."""

from itertools import pairwise

import pytest
import torch
from PIL import Image

from jemstone.random import Generator
from jemstone.samplers import ReplayBuffer, Uniform
from jemstone.training import Gallery, chains_shown, labels_shown


def test_looking_at_every_step_changes_nothing(robust_jem, listener, remembered, tmp_path):
    gallery = Gallery(tmp_path)
    looked, plain = robust_jem("batch"), robust_jem("batch")

    def hang(state):
        gallery.hang(state.step, chains_shown(state.buffer))

    looked.train(listener(), on_step=hang)
    plain.train(listener())
    before, after = remembered(plain.state), remembered(looked.state)
    assert before.keys() == after.keys()
    assert all(torch.equal(after[name], value) for name, value in before.items())
    assert [picture.name for picture in gallery.pictures()] == [f"{k:06d}.png" for k in range(1, 7)]


@pytest.mark.parametrize(("classes", "size"), [(1, 9), (3, 30), (3, 6), (10, 80), (40, 400)])
def test_chains_are_shown_by_class_and_always_the_same(classes, size, quadratic):
    buffer = ReplayBuffer(Uniform((1, 4, 4)), size, classes, 0.1, Generator(0))
    slots = torch.arange(len(buffer)).float()
    buffer.images = (slots / len(buffer))[:, None, None, None].expand(-1, 1, 4, 4).clone()
    shown = (chains_shown(buffer)[:, 0, 0, 0] * len(buffer)).round().long()
    assert torch.equal(shown // (size // classes), labels_shown(classes))
    assert len(shown) <= 80
    first = shown[:8] % (size // classes)
    assert first.tolist() == [i % (size // classes) for i in range(8)]


def test_pictures_never_are_many_and_the_newest_stays(tmp_path):
    gallery, most = Gallery(tmp_path), 0
    (tmp_path / "mine.png").write_text("of somebody")
    for step in range(1, 151):
        gallery.hang(10 * step, torch.rand(8, 1, 4, 4))
        kept = [int(picture.stem) for picture in gallery.pictures()]
        assert kept[-1] == 10 * step
        most = max(most, len(kept))
    assert most == len(kept) == 64
    assert kept[0] == 10
    gaps = [b - a for a, b in pairwise(kept)]
    assert max(gaps) <= 4 * 10 * 150 / 64
    assert (tmp_path / "mine.png").read_text() == "of somebody"


def test_a_viewer_sees_what_is_kept(tmp_path):
    seen = {}
    gallery = Gallery(tmp_path, lambda step, x: seen.update({step: x}))
    x = torch.rand(16, 3, 8, 8)
    gallery.hang(5, x)
    assert torch.equal(seen[5], x)
    with Image.open(tmp_path / "000005.png") as picture:
        wide, high = picture.size
    assert wide > 3 * high
