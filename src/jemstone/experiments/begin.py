"""How a run begins: all that can be refused is refused before a file is written."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from jemstone.data import NAMES, DataSet, data_root, fingerprint
from jemstone.errors import Mistake
from jemstone.experiments.provenance import source_commit, versions
from jemstone.experiments.runs import Run
from jemstone.files import check_name, check_new, write_json
from jemstone.recipes import (
    Recipe,
    build_model,
    changed,
    check_data,
    checked,
    refuse_oversized,
    write_recipe,
)
from jemstone.samplers import ClassGaussian
from jemstone.training import Device, check_tensorboard, choose_device

__all__ = ["begin", "described", "device_for", "lay", "resolved"]


def begin(
    path: Path,
    recipe: Recipe,
    data: DataSet,
    *,
    seed: int = 0,
    source: str | None = None,
    root: str | Path | None = None,
    resize: int | None = None,
    device: Device | None = None,
    checkpoint_every: int | None = None,
    grid_every: int | None = None,
    tensorboard: bool = False,
    processes: int = 1,
    again: bool = False,
    statistics: Path | None = None,
) -> Run:
    """Begin a run in a new folder.

    Args:
        path: of the folder, which must be absent or empty.
        recipe: what to train; its number of steps is resolved for this data.
        data: on what.
        seed: of everything random.
        source: what the data is loaded by when the run is opened again; its name by default.
        root: where the data lies.
        resize: height and width that its images were fitted into, if they were.
        device: where to run; by default as :func:`device_for` chooses.
        checkpoint_every: steps between checkpoints; by default a tenth of the run.
        grid_every: steps between pictures of the chains, beside those at checkpoints.
        tensorboard: write metrics and pictures for TensorBoard too.
        processes: that will train it together.
        again: take up the run that the folder holds, if it is this very one.
        statistics: file of the class Gaussians that would be fitted, as a run of the same data,
            jitter and rank has in its ``init.safetensors``; by default they are fitted here.

    Raises:
        Mistake: where the folder holds something, or the recipe cannot be built.
    """
    check_name(path)
    empty = path.is_dir() and not any(path.iterdir())
    if again and path.exists() and not empty:
        begun, wanted = Run.open(path), resolved(checked(recipe), data, processes)
        on = begun.environment["data_fingerprint"]
        if (begun.recipe, begun.seed, on) == (wanted, seed, fingerprint(data)):
            return begun
    if path.exists() and not empty:
        raise Mistake(f"{path} exists: choose another --out, or go on with --resume {path}")
    check_new(path / "recipe.yaml")
    recipe = resolved(checked(recipe), data, processes)
    for name, every in (("checkpoint_every", checkpoint_every), ("grid_every", grid_every)):
        if every is not None and every < 1:
            raise Mistake(f"{name} is 1 or more, not {every}")
    if tensorboard:
        check_tensorboard()
    device = device or device_for(data)
    # What cannot fit or be built is refused before a file is written.
    refuse_oversized(
        recipe, data.shape, len(data.classes), len(data.train), device.memory, data.resident
    )
    build_model(recipe, data, seed)
    environment = described(data, seed, source, root, resize, device) | {
        "checkpoint_every": checkpoint_every or max(1, (recipe.optimisation.steps or 0) // 10),
        "grid_every": grid_every,
        "tensorboard": tensorboard,
        "processes": processes,
    }
    return lay(path, recipe, environment, data, statistics)


def described(
    data: DataSet,
    seed: int,
    source: str | None,
    root: str | Path | None,
    resize: int | None,
    device: Device,
) -> dict[str, Any]:
    """Return what ``environment.json`` says of the data and the machine.

    Args:
        data: of the run.
        seed: of everything random.
        source: what the data is loaded by when the run is opened again; its name by default.
        root: where the data lies.
        resize: height and width that its images were fitted into, if they were.
        device: where the run is trained.
    """
    folder = data_root(root)
    return {
        "data": _lasting(source or data.name),
        "data_root": None if folder is None else str(folder.resolve()),
        "resize": resize,
        "data_fingerprint": fingerprint(data),
        "seed": seed,
        "device": device.name,
        "bf16": device.bf16,
        **versions(),
        "commit": source_commit(),
    }


def lay(
    path: Path,
    recipe: Recipe,
    environment: dict[str, Any],
    data: DataSet,
    statistics: Path | None = None,
    fill: Callable[[Path], object] = lambda folder: None,
) -> Run:
    """Write the folder of a run: it is there when it is complete.

    Args:
        path: of the folder, absent or empty.
        recipe: resolved.
        environment: as JSON shall say it.
        data: whose class Gaussians are kept.
        statistics: file that holds them already, which costs no room a second time.
        fill: writes what else the folder shall have.
    """
    beside = path.with_name(f".{path.name}.new")
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(parents=True)
    if statistics is None:
        chains, train = recipe.chains, data.train
        gaussian = ClassGaussian.fit(
            train.pixels, train.y, len(data.classes), jitter=chains.jitter, rank=chains.rank
        )
        gaussian.save(beside / "init.safetensors")
    else:
        _share(statistics, beside / "init.safetensors")
    write_recipe(beside / "recipe.yaml", recipe)
    write_json(beside / "environment.json", environment)
    fill(beside)
    beside.rename(path)
    return Run(path, recipe, environment)


def _share(file: Path, path: Path) -> None:
    """Give a file, which is never written again, a second name; or copy it where none can be."""
    with suppress(OSError):  # file systems without hard links, or another one
        os.link(file, path)
        return
    shutil.copyfile(file, path)


def _lasting(source: str) -> str:
    """Return what a data set is loaded by, wherever the command is then given."""
    of_files = source not in NAMES and (source.endswith(".npz") or Path(source).is_dir())
    return str(Path(source).resolve()) if of_files else source


def device_for(data: DataSet, name: str = "auto", precision: str = "auto") -> Device:
    """Choose where to train, in float32 on data that does not rest as bytes.

    bfloat16 has eight bits, as a byte: what is finer would be lost.

    Args:
        data: to train on.
        name: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        precision: ``auto``, ``fp32`` or ``bf16``.

    Raises:
        Mistake: where this machine lacks what is asked for.
    """
    fine = precision == "auto" and data.train.pixels.is_floating_point()
    return choose_device(name, "fp32" if fine else precision)


def resolved(recipe: Recipe, data: DataSet, processes: int = 1) -> Recipe:
    """Return the recipe with its number of steps for this data, if it can be run on it.

    Args:
        recipe: to train.
        data: on what.
        processes: that will train it together.

    Raises:
        Mistake: where a number does not fit the data.
    """
    optimisation = recipe.optimisation
    batch = min(optimisation.batch_size, len(data.train))
    steps = optimisation.steps_in_all(len(data.train) // batch)
    if batch < processes:
        raise Mistake(f"optimisation.batch_size is at least the number of processes, {processes}")
    if steps < 1:
        raise Mistake("optimisation.epochs gives no step: ask for more, or for --steps")
    attacked = recipe.weights.adversarial or recipe.positives == "adversarial"
    if attacked and recipe.ramp > steps:
        raise Mistake(
            f"ramp is {recipe.ramp}, and the run has {steps} steps, so the attack would never have "
            "its full radius: give a shorter --ramp, or --steps, which shortens both"
        )
    check_data(recipe, data, processes)
    return checked(changed(recipe, {"optimisation.steps": steps}))
