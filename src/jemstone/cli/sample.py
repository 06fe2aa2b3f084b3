"""``jemstone sample``: images from a run, as a picture or as arrays."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from jemstone.cli.console import counted
from jemstone.cli.parser import Parser, choose_for_judging, common_options
from jemstone.cli.voice import speaks
from jemstone.data import to_bytes
from jemstone.errors import Mistake
from jemstone.experiments import Run, balanced_labels, draw, refuse_many, shown_classes
from jemstone.files import check_new, write_whole
from jemstone.recipes import SAMPLERS
from jemstone.training import Processes, join, write_grid
from jemstone.types import Generator

__all__ = ["run"]


def run(argv: Sequence[str]) -> int:
    """Draw images; see ``jemstone sample --help``."""
    with join() as processes:
        return _sample(argv, processes)


def _sample(argv: Sequence[str], processes: Processes) -> int:
    arguments = _parser().read(argv)
    out = Path(arguments.out)
    if out.suffix not in (".png", ".npz"):
        raise Mistake(f"--out ends in .png or .npz, not '{out.name}'")
    check_new(out)
    if arguments.n < processes.world:
        raise Mistake(f"--n is at least {processes.world}, not {arguments.n}")
    opened = Run.open(Path(arguments.run))
    sampler = opened.sampler(arguments.sampler)
    classes = opened.classes
    if arguments.label is not None and not 0 <= arguments.label < classes:
        raise Mistake(f"--label is one of 0 to {classes - 1}, not {arguments.label}")
    refuse_many(arguments.n, opened.gaussian.shape)
    device = choose_for_judging(arguments.device, arguments.precision)
    model = opened.model().to(device.name)
    y = balanced_labels(arguments.n, classes)
    if arguments.label is not None:
        y = torch.full_like(y, arguments.label)
    generator = Generator(arguments.seed).fold("samples")
    with counted(f"{arguments.n} samples by {arguments.sampler}, {device}", len(y)) as progress:
        x = draw(
            model, sampler, y, generator, device=device, on_batch=progress, processes=processes
        )
    if not speaks():
        return 0
    pixels = to_bytes(x)
    meta = {
        "recipe": opened.recipe.name,
        "sampler": arguments.sampler,
        "seed": arguments.seed,
        "step": opened.steps_done,
        "labels": "intended",
    }
    if arguments.sampler == "unconditional":
        y = shown_classes(model, pixels)
        meta["labels"] = "predicted"
    if out.suffix == ".png":
        write_grid(out, x)
    else:
        _write_npz(out, pixels, y, meta)
    print(out)
    return 0


def _write_npz(out: Path, pixels: Tensor, y: Tensor, meta: dict[str, object]) -> None:
    images = pixels.permute(0, 2, 3, 1).numpy()
    arrays = {"images": images, "labels": y.numpy(), "meta": np.array(json.dumps(meta))}
    write_whole(out, lambda beside: np.savez_compressed(beside, **arrays))  # type: ignore[arg-type]


def _parser() -> Parser:
    parser = Parser(
        "sample",
        "Draw images from a run, from scratch.",
        "jemstone sample runs/a --sampler combined --n 100 --out samples.png",
    )
    parser.add_argument("run", help="folder of the run")
    parser.add_argument("--sampler", default="combined", help=", ".join(SAMPLERS))
    parser.add_argument("--n", type=int, default=100, help="images, every class as often")
    parser.add_argument("--label", type=int | None, help="of every image")
    parser.add_argument("--out", required=True, help="FILE.png or FILE.npz")
    common_options(parser)
    return parser
