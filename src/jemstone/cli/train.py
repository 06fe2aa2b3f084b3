"""``jemstone train``: a recipe on a data set, into a folder; or go on with one."""

from __future__ import annotations

import dataclasses
import signal
import sys
import typing
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jemstone.cli.console import say, watched
from jemstone.cli.parser import Parser, common_options, option_value, positionals
from jemstone.cli.voice import restarted, speaks
from jemstone.data import DataSet, load, set_name
from jemstone.errors import Mistake
from jemstone.experiments import Run, begin, device_for, drifted, duration, seconds_per_step
from jemstone.functional.gaussian import lonely_classes
from jemstone.recipes import PAPERS, Recipe, estimate, of_length, read_recipe, recipe_for, to_yaml
from jemstone.training import Diverged, Interrupted, Processes, join

__all__ = ["few_images", "run", "train_run"]

_TOLD = 5  # of the classes with too few images
_EXAMPLE = "jemstone train robust-jem --data digits --out runs/a --attack.eps 0.1"


def run(argv: Sequence[str]) -> int:
    """Train; see ``jemstone train --help``."""
    with join() as processes:
        if any(token.partition("=")[0] == "--resume" for token in argv):
            return _resume(argv, processes)
        return _begin(argv, processes)


def _begin(argv: Sequence[str], processes: Processes) -> int:
    base = _chosen(argv)
    parser = _parser(base)
    # jsonargparse keeps --print_config for itself, and would print its own defaults.
    arguments = parser.read([token for token in argv if token != "--print_config"])
    fields = parser.instantiate(arguments)
    values = {f.name: getattr(fields, f.name) for f in _tunable()}
    recipe = dataclasses.replace(base, **values)
    if arguments.steps is not None:
        sized = of_length(recipe, arguments.steps)
        # A ramp that is asked for is taken at its word.
        recipe = sized if recipe.ramp == base.ramp else dataclasses.replace(sized, ramp=recipe.ramp)
    if "--print_config" in argv:
        sys.stdout.write(to_yaml(recipe))
        return 0
    if arguments.out is None:
        raise Mistake("train needs a folder for the run: add --out runs/NAME")
    out = Path(arguments.out)
    # In turn, since data may be downloaded, or read into the cache.
    data = processes.in_turn(
        lambda: load(arguments.data, arguments.data_root, resize=arguments.resize, told=say)
    )
    device = device_for(data, arguments.device, arguments.precision)

    def open_or_begin() -> Run:
        if not processes.leads:
            return Run.open(out)
        return begin(
            out,
            recipe,
            data,
            seed=arguments.seed,
            source=arguments.data,
            root=arguments.data_root,
            resize=arguments.resize,
            device=device,
            checkpoint_every=arguments.checkpoint_every,
            grid_every=arguments.grid_every,
            tensorboard=arguments.tensorboard,
            processes=processes.world,
            again=restarted(),
        )

    return train_run(processes.in_turn(open_or_begin), data, processes)


def train_run(run: Run, data: DataSet, processes: Processes | None = None) -> int:
    """Train a run to its end, shown on the terminal; return the exit code."""
    processes = processes or Processes()
    recipe, state = run.recipe, run.state(data, processes)
    where = f"{run.device}, {processes.world} processes" if processes.world > 1 else run.device
    resumed = f", resumed from step {state.step}" if state.step else ""
    needed = estimate(recipe, data.shape, len(data.classes), len(data.train), data.resident)
    pace = seconds_per_step(state, recipe, data.train, run.device)
    say(
        f"{recipe.name} ({recipe.budget}) on {data.name}, {where}, {run.steps} steps, "
        f"{needed}, about {duration(pace * (run.steps - state.step))}{resumed}"
    )
    for line in few_images(data, recipe.chains.rank):
        say(line)
    with watched(recipe.name, run.steps, plain_every=max(20, run.steps // 20)) as watcher:
        try:
            run.train(data, watcher, state=state)
        except Interrupted as interrupted:
            say(f"{interrupted}: go on with `jemstone train --resume {run.path}`")
            return 128 + (watcher.signal or signal.SIGTERM)  # another process's is not known here
        except Diverged:
            say(f"which knob to turn: jemstone doctor {run.path}")
            raise
    if speaks():
        print(run.path)
    return 0


def few_images(data: DataSet, rank: int | None) -> list[str]:
    """Say which classes have too few images for a Gaussian of their own, a line for each.

    Args:
        data: to train on.
        rank: of the recipe's Gaussians.
    """
    few = lonely_classes(data.train.y, len(data.classes), rank)
    lines = [_few(data.classes[k], images, rank) for k, images in few.items()]
    more = len(lines) - _TOLD
    return lines if more <= 1 else [*lines[:_TOLD], f"{more} more classes have too few images"]


def _few(name: str, images: int, rank: int | None) -> str:
    if not images:
        return f"class {name} has no image: its Gaussian is that of all classes together"
    count = "one image" if images == 1 else f"{images} images for {rank} directions"
    return f"class {name} has {count}: its Gaussian has the covariance of all classes"


def _resume(argv: Sequence[str], processes: Processes) -> int:
    parser = Parser(
        "train --resume", "Go on where a run stopped.", "jemstone train --resume runs/a"
    )
    parser.add_argument("--resume", required=True, help="folder of the run")
    parser.add_argument("--data_root", type=str | None, help="where the data lies now")
    try:
        arguments = parser.read(argv)
    except Mistake as error:
        hint = "a resumed run keeps its recipe, folder and steps, so give --resume DIR alone"
        raise Mistake(f"{error} ({hint}, or with --data_root)") from error
    resumed = processes.in_turn(lambda: Run.open(Path(arguments.resume)))
    if resumed.steps_done >= resumed.steps:
        say(f"the run is finished: {resumed.steps} steps")
        if speaks():
            print(resumed.path)
        return 0
    if others := drifted(resumed.environment):
        say(f"not bit for bit from here: the run began with {'; '.join(others)}")
    data = processes.in_turn(lambda: resumed.data(arguments.data_root, told=say))
    return train_run(resumed, data, processes)


def _tunable() -> list[dataclasses.Field[Any]]:
    """Return the recipe's fields that options may change."""
    return [f for f in dataclasses.fields(Recipe) if f.name not in ("name", "budget")]


def _chosen(argv: Sequence[str]) -> Recipe:
    """Look up recipe, data and budget, on which the other options' defaults depend."""
    config = option_value(argv, "config")
    names = positionals(argv)
    asked_for_help = "--help" in argv or "-h" in argv
    partial = read_recipe(Path(config)) if config else None
    name = names[0] if names else partial.name if partial else ""
    if not name and asked_for_help:
        name = "robust-jem"
    if not name:
        raise Mistake("train needs a recipe: `jemstone recipes` lists them")
    data = set_name(option_value(argv, "data", "digits"))
    budget = option_value(argv, "budget", partial.budget if partial else "small")
    base = recipe_for(name, data, budget)
    if not config:
        return base
    recipe = read_recipe(Path(config), base)
    # A name that no recipe has is one's own, for what the file changes.
    if name != recipe.name and recipe.name in PAPERS:
        raise Mistake(f"{config} is of recipe {recipe.name}, not {name}: leave one of the two out")
    if budget != recipe.budget:
        raise Mistake(f"{config} is of budget {recipe.budget}, not {budget}: leave one out")
    return recipe


def _parser(base: Recipe) -> Parser:
    parser = Parser("train", f"Train a recipe. Defaults: {base.name}, {base.budget}.", _EXAMPLE)
    parser.add_argument("recipe", nargs="?", help="see `jemstone recipes`")
    parser.add_argument("--data", default="digits", help="name of a data set, FILE.npz or FOLDER")
    parser.add_argument("--data_root", type=str | None, help="folder that holds the data")
    parser.add_argument("--resize", type=int | None, help="pixels to fit all images into")
    parser.add_argument("--out", type=str | None, help="new folder for the run")
    parser.add_argument("--resume", type=str | None, help="folder of a run to go on with")
    parser.add_argument("--budget", default="small", help="quick, small or paper")
    parser.add_argument("--config", type=str | None, help="YAML file with fields of the recipe")
    parser.add_argument("--print_config", action="store_true", help="print the recipe and stop")
    parser.add_argument("--steps", type=int | None, help="optimiser steps, instead of the recipe's")
    parser.add_argument("--checkpoint_every", type=int | None, help="steps; a tenth by default")
    parser.add_argument(
        "--grid_every", type=int | None, help="steps between pictures of the chains"
    )
    parser.add_argument(
        "--tensorboard", action="store_true", help="write metrics and pictures for TensorBoard too"
    )
    common_options(parser)
    types = typing.get_type_hints(Recipe)
    for f in _tunable():
        parser.add_argument(f"--{f.name}", type=types[f.name], default=getattr(base, f.name))
    return parser
