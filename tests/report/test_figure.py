"""Pictures of many images at once."""

import pytest
import torch

from jemstone.report.figure import draw_panels, tiled


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 13])
def test_images_of_any_channels_are_drawn(channels, tmp_path):
    x = torch.rand(6, channels, 5, 4)
    picture = tiled(x, 2)
    grey = channels != 3
    width = 4 * (channels if channels not in (1, 3) else 1) + 2
    assert picture.shape == (2 * 7, 3 * width, *(() if grey else (3,)))
    draw_panels(tmp_path / "panels.png", {"x": x}, ["a", "b"])
    assert (tmp_path / "panels.png").stat().st_size > 0


def test_channels_that_are_no_colours_stand_side_by_side():
    x = torch.rand(1, 2, 3, 3)
    assert torch.equal(tiled(x, 1)[1:-1, 1:-1], torch.cat([x[0, 0], x[0, 1]], dim=1))
