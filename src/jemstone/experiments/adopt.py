"""A run whose weights were trained before: a finished run is made of them."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

from jemstone.data import DataSet
from jemstone.errors import Mistake
from jemstone.experiments.begin import described, device_for, lay
from jemstone.experiments.case import check_fit
from jemstone.experiments.runs import Run
from jemstone.files import check_new, sha256_of, write_json
from jemstone.model import JointEnergyModel
from jemstone.recipes import Recipe, check_data, checked, read_recipe
from jemstone.training import Device

__all__ = ["adopt", "adoptable"]


def adopt(
    path: Path,
    weights: Path,
    recipe: Recipe,
    data: DataSet,
    *,
    seed: int = 0,
    source: str | None = None,
    root: str | Path | None = None,
    resize: int | None = None,
    device: Device | None = None,
    statistics: Path | None = None,
) -> Run:
    """Make a finished run of weights, in a new folder.

    It is sampled as ``recipe`` says, and judged as any other; it has no metrics, and no chains.

    Args:
        path: of the folder, which must be absent.
        weights: folder with ``model.safetensors``, ``config.json``, and the ``recipe.yaml`` that
            trained them, as ``docs/results/weights`` has them.
        recipe: that they shall be of, by name and budget, and be sampled by.
        data: that they were trained on; class Gaussians are fitted to it.
        seed: that they were trained with.
        source: what the data is loaded by when the run is opened again; its name by default.
        root: where the data lies.
        resize: height and width that its images were fitted into, if they were.
        device: where the run is used.
        statistics: see :func:`jemstone.experiments.begin.lay`.

    Raises:
        Mistake: where the folder holds something, or the weights are of another recipe, of other
            images or of other classes.
    """
    check_new(path)
    trained = adoptable(weights, recipe, data)
    digest = sha256_of(weights / "model.safetensors")
    steps = trained.optimisation.steps or 0
    environment = described(data, seed, source, root, resize, device or device_for(data)) | {
        "checkpoint_every": max(1, steps),
        "adopted": {"weights": weights.name, "sha256": digest},
    }

    def fill(folder: Path) -> None:
        checkpoint = folder / "checkpoint"
        checkpoint.mkdir()
        for name in ("model.safetensors", "config.json"):
            shutil.copyfile(weights / name, checkpoint / name)
        write_json(checkpoint / "training.json", {"step": steps, "metrics": {}})

    sampled = dataclasses.replace(trained, sampling=recipe.sampling)
    return lay(path, sampled, environment, data, statistics, fill)


def adoptable(weights: Path, recipe: Recipe, data: DataSet) -> Recipe:
    """Return the recipe that trained some weights, if they can be adopted.

    Args:
        weights: their folder.
        recipe: that they shall be of.
        data: that they shall classify.

    Raises:
        Mistake: as :func:`adopt` does.
    """
    trained = checked(read_recipe(weights / "recipe.yaml"))
    found, wanted = ((r.name, r.budget) for r in (trained, recipe))
    if found != wanted:
        raise Mistake(f"{weights} holds {' '.join(found)}, not {' '.join(wanted)}")
    if trained.optimisation.steps is None:
        raise Mistake(f"{weights / 'recipe.yaml'}: optimisation.steps is not there")
    check_data(trained, data)
    model = JointEnergyModel.from_pretrained(weights)
    classes = model.config["arguments"]["classes"]
    if classes != len(data.classes):
        raise Mistake(
            f"{weights} tells {classes} classes apart, {data.name} has {len(data.classes)}"
        )
    check_fit(model, data, str(weights), Device())
    return trained
