"""Figures hold the images that they were given, and walks keep every stage."""

import pytest
import torch
from PIL import Image

from jemstone.report.reproduction import draw_samples, draw_trajectory
from jemstone.report.reproduction.trajectory import frames_shown, stages_of


@pytest.mark.parametrize("most", [1, 5, 10, 30, 1000])
@pytest.mark.parametrize("walk_steps", [1, 10, 300])
def test_frames_shown_keep_every_stage(most, walk_steps):
    stages = ["init", *["attack"] * 15, "contrast", *["walk"] * walk_steps, "clamp"]
    shown = frames_shown(stages, most)
    assert shown == sorted(set(shown))
    assert {0, len(stages) - 1, *(end for _, _, end in stages_of(stages))} <= set(shown)
    assert len(shown) == min(len(stages), max(most, 5))


def colours_of(path):
    with Image.open(path) as picture:
        return {pixel for count, pixel in picture.convert("RGB").getcolors(2**24) if count > 400}


def plain(count, start=0):
    """Images of one colour each, no two alike."""
    colours = torch.stack([torch.tensor([start + 9 * k, 255 - 9 * k, 60]) for k in range(count)])
    return colours.to(torch.uint8)[..., None, None].expand(-1, 3, 8, 8).contiguous()


@pytest.mark.parametrize("columns", [1, 4])
def test_samples_are_drawn_class_by_class_equally_many(columns, tmp_path):
    x, y = plain(3 * columns + 2), torch.arange(3 * columns + 2) % 3
    draw_samples(tmp_path / "new" / "figure1.png", x, y, ("a", "b", "c"), "title")
    seen = colours_of(tmp_path / "new" / "figure1.png")
    drawn = [tuple(image[:, 0, 0].tolist()) in seen for image in x]
    assert drawn == [True] * 3 * columns + [False] * 2


def test_grey_samples_of_a_few_classes_are_drawn(samples, tmp_path):
    x, y = samples()
    draw_samples(tmp_path / "figure.png", x[y > 1], y[y > 1], ("a", "b", "c", "d"), "title")
    with Image.open(tmp_path / "figure.png") as picture:
        assert picture.width > picture.height > 100


def test_a_trajectory_is_drawn_frame_by_frame(walk, tmp_path):
    way = walk(classes=2, channels=3, attack=8, walk=12)
    frames = len(way["stages"])
    one, two = plain(frames), plain(frames).flip(1)
    way["images"] = torch.stack([one, two], dim=1)
    draw_trajectory(tmp_path / "new" / "trajectory.png", way)
    seen = colours_of(tmp_path / "new" / "trajectory.png")
    shown = frames_shown(way["stages"], 10)
    assert len(shown) == 10
    for images in (one, two):
        drawn = [t for t in range(frames) if tuple(images[t, :, 0, 0].tolist()) in seen]
        assert drawn == shown
