"""Input gradients of several runs on the same held-out images: to be looked at, and measured."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from jemstone.data import DataSet, Images, load
from jemstone.errors import Mistake
from jemstone.experiments.provenance import source_commit
from jemstone.experiments.runs import Run
from jemstone.functional.confidence import standard_error
from jemstone.functional.energies import energy, grad_x
from jemstone.metrics import measure_alignment
from jemstone.model import JointEnergyModel, Normalise
from jemstone.nn.modes import held
from jemstone.training import Device
from jemstone.types import Generator

__all__ = ["InputGradients", "compare_gradients", "data_of"]

_USUAL = 200  # images measured
_SHOWN = 10
_ETMANN, _GANZ = "https://arxiv.org/abs/1905.04172", "https://arxiv.org/abs/2207.11378"
_MEASURES = {
    "alignment": (
        "|<x, g>| / |g|, g = grad f(x)[i], i the predicted class",
        "0 to |x|, pixels",
        _ETMANN,
    ),
    "alignment_cosine": ("|<x, g>| / (|x| |g|), the same g", "0 to 1", _ETMANN),
    "margin_alignment": (
        "|<x, g>| / |g|, g = grad (f(x)[i] - f(x)[j]), j the rival with the nearest linearised "
        "boundary",
        "0 to |x|, pixels",
        _ETMANN,
    ),
    "margin_alignment_cosine": ("|<x, g>| / (|x| |g|), the same g", "0 to 1", _ETMANN),
    "class_mean_alignment": (
        "mean over classes k of cos(grad f(x)[k], m_k - x), m_k the mean training image",
        "-1 to 1",
        _GANZ,
    ),
    "class_mean_alignment_log_p": (
        "mean over classes k of cos(grad log p(k|x), m_k - x)",
        "-1 to 1",
        _GANZ,
    ),
}


class InputGradients(NamedTuple):
    r"""What :func:`compare_gradients` found.

    Args:
        result: the numbers, ready for JSON.
        images: the first few of the measured images, (M, C, H, W) in [0, 1].
        rows: for each run, by its label, :math:`-\nabla_x E(x, y)` on these, (M, C, H, W).
    """

    result: dict[str, Any]
    images: Tensor
    rows: Mapping[str, Tensor]


def data_of(
    runs: Sequence[Run],
    name: str | None = None,
    root: str | None = None,
    resize: int | None = None,
    told: Callable[[str], object] = lambda line: None,
) -> DataSet:
    """Load the data set that runs share, or another one that all of them can read.

    Args:
        runs: one or more.
        name: of another data set than the one they were trained on.
        root: folder that holds it.
        resize: height and width that its images are fitted into, if they are.
        told: hears how far a long reading is.

    Raises:
        Mistake: where none is named, and the runs were trained on different ones or images are to
            be resized.
    """
    if resize is not None and name is None:
        raise Mistake("--resize goes with --data: a run's own images are as it was trained on")
    first = runs[0]
    for run in runs[1:] if name is None else ():
        if run.environment["data_fingerprint"] != first.environment["data_fingerprint"]:
            raise Mistake(
                f"{first.path} and {run.path} were trained on different data "
                f"({first.environment['data']}, {run.environment['data']}): compare runs of one "
                "data set, or name one for all with --data"
            )
    return load(name, root, resize=resize, told=told) if name else first.data(root, told)


def compare_gradients(
    runs: Sequence[Run],
    data: DataSet,
    *,
    count: int | None = None,
    seed: int = 0,
    device: Device | None = None,
    progress: Callable[[str], None] = lambda line: None,
) -> InputGradients:
    r"""Take the input gradients of each run's newest checkpoint on the same held-out images.

    Shown is :math:`-\nabla_x E(x, y) = \nabla_x f(x)[y]` of the label, in which direction an image
    gets more of its class; measured is how far gradients line up with images and classes, see
    :mod:`jemstone.metrics.alignment`. Images are counted from what the network reads as zero, in
    [0, 1] pixels; classes are represented by the mean of the run's training images.

    Args:
        runs: one or more.
        data: whose held-out images are taken, classes in turn.
        count: how many are measured; by default 200, or all that there are.
        seed: of the choice of images.
        device: where to run; by default where the first run was trained, in float32.
        progress: hears what is done next.

    Raises:
        Mistake: for too many or too few images, a run given twice, one of images of another shape
            or classes of another number, or a run without a checkpoint.
    """
    count = min(_USUAL, len(data.test)) if count is None else count
    _check(runs, data, count)
    device = device or Device(runs[0].device.name)
    places = classes_in_turn(data.test.labels, Generator(seed).fold("gradients"))[:count]
    chosen = Images(data.test.pixels[places], data.test.labels[places])
    shown = chosen.take(torch.arange(min(_SHOWN, count)))
    rows, measured = {}, []
    for label, run in zip(_labels(runs), runs, strict=True):
        progress(f"gradients of {run.path}, {device}")
        model = run.model().to(device.name)
        with device.autocast(), held(model):
            x, y = shown.x.to(device.name), shown.y.to(device.name)
            rows[label] = -grad_x(energy, model, x, y).cpu()
            measured.append({"label": label, **_measured(run, model, chosen)})
    result = {
        "data": data.name,
        "n": count,
        "seed": seed,
        "commit": source_commit(),
        "shown": f"-grad E(x, y) of the first {len(shown.x)} images, y the label",
        "measures": {
            name: dict(zip(("of", "range", "reference"), words, strict=True))
            for name, words in _MEASURES.items()
        },
        "runs": measured,
    }
    return InputGradients(result, shown.x, rows)


def classes_in_turn(labels: Tensor, generator: Generator) -> Tensor:
    """Order images so that classes take turns, each in a random order of its own.

    >>> order = classes_in_turn(torch.tensor([0, 0, 0, 1, 1, 2]), Generator(0))
    >>> torch.tensor([0, 0, 0, 1, 1, 2])[order].tolist()
    [0, 1, 2, 0, 1, 0]

    Args:
        labels: int64 (N,).
        generator: the randomness.

    Returns:
        Places, int64 (N,).
    """
    order = generator.permutation(len(labels))
    by_class = order[torch.argsort(labels[order], stable=True)]
    sizes = labels.bincount()
    turn = torch.cat([torch.arange(size) for size in sizes.tolist()])
    return by_class[torch.argsort(turn, stable=True)]


def _measured(run: Run, model: JointEnergyModel, images: Images) -> dict[str, Any]:
    """Return what is known of a run, and means with standard errors over the images."""
    zero = model.normalise.mean if isinstance(model.normalise, Normalise) else torch.zeros(1)
    means = run.gaussian.means.unflatten(1, run.gaussian.shape)
    values = measure_alignment(model, images, means, zero=zero)
    return {
        "run": str(run.path),
        "recipe": run.recipe.name,
        "budget": run.recipe.budget,
        "seed": run.seed,
        "step": run.steps_done,
        "commit": run.environment.get("commit"),
        "trained_on": run.environment["data"],
        "zero": zero.flatten().tolist(),
        "accuracy": float(values["correct"].mean()),
        "flat": float(values["flat"].mean()),
        **{
            name: {"mean": float(values[name].mean()), "se": standard_error(values[name])}
            for name in _MEASURES
        },
    }


def _labels(runs: Sequence[Run]) -> list[str]:
    """Name each run by its recipe, and by its folder too where several have it."""
    recipes = [run.recipe.name for run in runs]
    return [
        name if recipes.count(name) == 1 else f"{name}, {run.path}"
        for name, run in zip(recipes, runs, strict=True)
    ]


def _check(runs: Sequence[Run], data: DataSet, count: int) -> None:
    """Refuse what cannot be compared, before any work is done."""
    paths: set[Path] = set()
    for run in runs:
        if run.path.resolve() in paths:
            raise Mistake(f"{run.path} is given twice: name each run once")
        paths.add(run.path.resolve())
        if (data.shape, len(data.classes)) != (run.gaussian.shape, run.classes):
            raise Mistake(
                f"{data.name} has {len(data.classes)} classes of {data.shape} images, {run.path} "
                f"{run.classes} of {run.gaussian.shape}: compare runs of one data set"
            )
    if not 2 <= count <= len(data.test):
        raise Mistake(f"--n is 2 to {len(data.test)}, the held-out images of {data.name}")
