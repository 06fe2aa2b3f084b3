"""Pictures hold the images they were given."""

import base64
import io
from itertools import pairwise

import pytest
import torch
from PIL import Image

from jemstone.experiments.samples import picture
from jemstone.report import draw_gradients, draw_panels, gradient_picture
from jemstone.training import grid, write_grid


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


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("count", [1, 6])
def test_images_of_any_number_of_channels_are_a_grid_in_colour(channels, count):
    x = torch.rand(count, channels, 4, 4, generator=torch.Generator().manual_seed(0))
    assert grid(x, columns=3).shape[0] == 3
    pixels = (255 * x.repeat(4, 1, 1, 1)).to(torch.uint8)
    drawn = base64.b64decode(picture(pixels, torch.arange(len(pixels)) % 2, 2))
    with Image.open(io.BytesIO(drawn)) as opened:
        assert opened.mode == "RGB"


@pytest.mark.parametrize("channels", [1, 3])
def test_panels_are_drawn_side_by_side(channels, tmp_path):
    panels = {name: torch.rand(6, channels, 8, 8) for name in ("data", "$_$ {", "walk")}
    draw_panels(tmp_path / "new" / "figure.png", panels, ("$_$ {", "b"), "no $formula$_{")
    with Image.open(tmp_path / "new" / "figure.png") as picture:
        assert picture.size[0] > picture.size[1] > 100


def test_a_gradient_is_shown_by_its_direction_around_grey():
    g = torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    g[0, 0, 0, 0] = 1e3
    shown = gradient_picture(g)
    assert shown.min() >= 0
    assert shown.max() == shown[0, 0, 0, 0] == 1
    for scale in (1e-30, 1e30):
        torch.testing.assert_close(gradient_picture(scale * g), shown)
    torch.testing.assert_close(gradient_picture(-g), 1 - shown)
    assert (gradient_picture(torch.zeros(1, 1, 4, 4)) == 0.5).all()
    sigma = g[1].square().mean().sqrt()
    torch.testing.assert_close(shown[1], (0.5 + g[1] / (6 * sigma)).clamp(0, 1))


@pytest.mark.parametrize("channels", [1, 3])
def test_gradients_are_rows_below_the_images(channels, tmp_path):
    x, g = torch.rand(5, channels, 8, 8), torch.randn(5, channels, 8, 8)
    sizes = []
    for count in (1, 4):
        rows = {f"model {number}": g for number in range(count)}
        draw_gradients(tmp_path / "new" / f"{count}.png", x, rows, "title")
        with Image.open(tmp_path / "new" / f"{count}.png") as picture:
            sizes.append(picture.size)
    assert all(few[1] < many[1] for few, many in pairwise(sizes))
