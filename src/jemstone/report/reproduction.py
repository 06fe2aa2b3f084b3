"""The pages of a reproduction: a placeholder for the interface."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from jemstone.files import write_whole

__all__ = ["draw_samples", "draw_trajectory", "report_page", "table_markdown"]


def table_markdown(result: Mapping[str, Any]) -> str:
    """Return the rows."""
    rows = [f"| {row['model']} | {row['is']} | {row['fid']} |\n" for row in result["rows"]]
    return "".join(rows)


def report_page(
    result: Mapping[str, Any],
    samples: Mapping[str, tuple[Tensor, Tensor]],
    trajectory: Mapping[str, Any] | None,
    gradients: bytes | None,
) -> str:
    """Return a page."""
    return f"<!doctype html><title>{result['data']}</title>{table_markdown(result)}"


def draw_samples(
    path: Path, images: Tensor, labels: Tensor, classes: tuple[str, ...], title: str
) -> None:
    """Draw a grid."""
    from torchvision.utils import save_image

    write_whole(path, lambda beside: save_image(images.float() / 255, beside))


def draw_trajectory(path: Path, trajectory: Mapping[str, Any]) -> None:
    """Draw the frames."""
    from torchvision.utils import save_image

    frames = trajectory["images"].flatten(0, 1).float() / 255
    write_whole(path, lambda beside: save_image(frames, beside))
