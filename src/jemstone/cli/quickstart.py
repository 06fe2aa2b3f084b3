"""``jemstone quickstart``: a Robust JEM on real digits, trained, sampled and judged."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from jemstone.cli.console import results, say
from jemstone.cli.parser import Parser, common_options
from jemstone.cli.train import train_run
from jemstone.data import DataSet, Images, firsts, load
from jemstone.experiments import Run, begin, draw, evaluate
from jemstone.files import read_json, write_json
from jemstone.recipes import of_length, recipe_for
from jemstone.report import classification_table, draw_panels, generation_table
from jemstone.training import choose_device
from jemstone.types import Generator

__all__ = ["run"]

_PER_CLASS = 8


def run(argv: Sequence[str]) -> int:
    """Do what is not done yet of: train, draw, judge; say what is there."""
    parser = Parser(
        "quickstart",
        "Train, sample and judge a Robust JEM on scikit-learn's digits.",
        "jemstone quickstart --out runs/quickstart",
    )
    parser.add_argument("--out", default="runs/quickstart", help="folder for all of it")
    common_options(parser)
    parser.add_argument("--steps", type=int | None, help="optimiser steps, instead of the recipe's")
    arguments = parser.read(argv)
    out = Path(arguments.out)
    data = load("digits")
    folder, figure, judged = out / "run", out / "figure.png", out / "evaluate.json"
    if (folder / "recipe.yaml").is_file():
        opened = Run.open(folder)
    else:
        recipe = of_length(recipe_for("robust-jem", budget="quick"), arguments.steps)
        device = choose_device(arguments.device, arguments.precision)
        opened = begin(folder, recipe, data, seed=arguments.seed, device=device)
    if opened.steps_done < opened.steps:
        # A picture and figures of a run that was here before are not this run's.
        figure.unlink(missing_ok=True)
        judged.unlink(missing_ok=True)
        code = train_run(opened, data)
        if code:
            return code
    else:
        say(f"{folder} is there: trained, {opened.steps} steps, seed {opened.seed}")
    if figure.is_file():
        say(f"{figure} is there")
    else:
        say("drawing the figure")
        panels = _panels(opened, data)
        draw_panels(figure, panels, data.classes, "Robust JEM on digits, samples from scratch")
    if judged.is_file():
        say(f"{judged} is there")
    else:
        write_json(judged, evaluate(opened, data, progress=say))
    result = read_json(judged)
    console = results(120)
    console.print(classification_table(result))
    console.print(generation_table(result))
    print(f"the picture:    {figure}")
    print(f"every figure:   {judged}")
    print(f"the run:        {folder}")
    print(f"more images:    jemstone sample {folder} --sampler combined --n 100 --out more.png")
    print("what it does:   jemstone recipes robust-jem")
    print(out)
    return 0


def _panels(opened: Run, data: DataSet) -> dict[str, Tensor]:
    """Draw each stage from the same starts, class by class."""
    model = opened.model()
    y = torch.arange(len(data.classes)).repeat_interleave(_PER_CLASS)
    generator = Generator(opened.seed).fold("figure")
    names = ("init", "attack", "energy", "combined")
    drawn = {name: draw(model, opened.sampler(name), y, generator) for name in names}
    return {"data": _first_of_each_class(data.test, len(data.classes)), **drawn}


def _first_of_each_class(images: Images, classes: int) -> Tensor:
    return images.take(torch.cat(firsts(images.labels, classes, _PER_CLASS))).x
