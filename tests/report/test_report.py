"""Pictures hold the images they were given."""

import pytest
import torch
from PIL import Image

from jemstone.report import draw_panels
from jemstone.training import write_grid


@pytest.mark.parametrize("channels", [1, 3])
def test_a_grid_shows_every_pixel_unsmoothed(channels, tmp_path):
    x = torch.rand(6, channels, 4, 4, generator=torch.Generator().manual_seed(0))
    write_grid(tmp_path / "grid.png", x, columns=3)
    with Image.open(tmp_path / "grid.png") as picture:
        seen = {tuple(pixel) for pixel in picture.convert("RGB").get_flattened_data()}
    wanted = (x * 255).round().expand(6, 3, 4, 4).permute(0, 2, 3, 1).reshape(-1, 3)
    for colour in wanted.long().tolist():
        assert (
            min(max(abs(a - b) for a, b in zip(colour, pixel, strict=True)) for pixel in seen) <= 1
        )


def test_channels_that_are_no_colours_stand_side_by_side(tmp_path):
    write_grid(tmp_path / "grid.png", torch.tensor([0.2, 0.8]).reshape(1, 2, 1, 1))
    with Image.open(tmp_path / "grid.png") as picture:
        row = [picture.getpixel((column, 8))[0] for column in range(picture.width)]
    assert row == [51] * 16 + [204] * 16


@pytest.mark.parametrize("channels", [1, 3])
def test_panels_are_drawn_side_by_side(channels, tmp_path):
    panels = {name: torch.rand(6, channels, 8, 8) for name in ("data", "init", "walk")}
    draw_panels(tmp_path / "new" / "figure.png", panels, ("a", "b"), "title")
    with Image.open(tmp_path / "new" / "figure.png") as picture:
        assert picture.size[0] > picture.size[1] > 100
