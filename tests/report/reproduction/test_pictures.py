"""Figures hold the images that they were given, and walks the numbers of their steps."""

import numpy as np
import pytest
import torch
from PIL import Image

from jemstone.experiments.reproduction.frames import frames_shown, steps_of
from jemstone.report.reproduction import draw_samples, draw_trajectory
from jemstone.report.reproduction.trajectory import names_of, trajectory_view


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


def test_a_title_is_above_the_middle_of_the_pictures_and_no_margin_is_left(tmp_path):
    x = torch.full((40, 3, 32, 32), 0, dtype=torch.uint8)
    names = tuple("a long name" for _ in range(10))
    draw_samples(tmp_path / "figure.png", x, torch.arange(40) % 10, names, "title")
    with Image.open(tmp_path / "figure.png") as picture:
        ink = torch.from_numpy(np.array(picture.convert("L"))) < 200
    high, wide = ink.shape
    rows, columns = ink.any(1).nonzero()[:, 0], ink.any(0).nonzero()[:, 0]
    margins = (rows[0], columns[0], high - 1 - rows[-1], wide - 1 - columns[-1])
    assert max(margins) < 0.15 * 200  # inches, dots an inch
    grid = (ink.float().mean(1) > 0.5).nonzero()[0, 0]  # the first row of pixels of the pictures
    above, across = ink[:grid].any(0).nonzero()[:, 0], ink[grid].nonzero()[:, 0]
    assert abs((above[0] + above[-1]) - (across[0] + across[-1])) < 20
    assert grid - ink[:grid].any(1).nonzero()[-1, 0] < 0.25 * 200


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
    shown = frames_shown(way["stages"], 12)
    assert len(shown) == 12
    for images in (one, two):
        drawn = [t for t in range(frames) if tuple(images[t, :, 0, 0].tolist()) in seen]
        assert drawn == shown


@pytest.mark.parametrize("kept", [12, 80, 1000])
def test_frames_of_a_thinned_way_are_called_by_their_true_steps(walk, kept):
    way = walk(classes=2, attack=30, walk=200)
    stages, names = way["stages"], names_of(way)
    places = frames_shown(stages, kept)
    steps = steps_of(stages)
    thinned = {name: way[name][places] for name in ("images", "energy", "probability")}
    thinned |= {"stages": [stages[t] for t in places], "steps": [steps[t] for t in places]}
    thinned = way | thinned | {"frames": len(stages)}
    assert names_of(thinned) == [names[t] for t in places]
    view = trajectory_view(thinned)
    assert view["names"][-1] == names[-1]
    assert view["left_out"] == len(stages) - len(view["names"])
