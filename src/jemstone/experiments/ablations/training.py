"""What the paper leaves open in training: short runs of one recipe, each of one change to it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping
from pathlib import Path
from typing import Any

from jemstone.data import DataSet
from jemstone.errors import Mistake
from jemstone.experiments.ablations.figures import FIGURES, sampled_figures
from jemstone.experiments.ablations.question import Choice, Question
from jemstone.experiments.begin import begin
from jemstone.experiments.runs import Run
from jemstone.experiments.sight import Eyes
from jemstone.experiments.threats import attacked_images
from jemstone.files import finite
from jemstone.metrics import agreement, predictions, robust_accuracy
from jemstone.recipes import Recipe, changed, of_length
from jemstone.samplers import madry_step
from jemstone.training import Device, Diverged
from jemstone.types import Generator

__all__ = ["train_ablations", "training_questions", "variants"]

_SAMPLERS = ("energy", "combined")
_L2_EPS = 0.5  # Santurkar et al.'s, in [0, 1]
_BATCH = {"network.norm": "batch", "network.init": "default", "walk.mode": "batch"}  # JEM++'s
_ATTACK_STEPS, _RESTARTS = 20, 2


def variants(recipe: Recipe) -> dict[str, dict[str, Any]]:
    """Return what each run changes in the recipe, by its name.

    Args:
        recipe: of Robust JEM, at the size that is ablated.
    """
    clean = 0.0 if recipe.weights.cross_entropy else 1.0
    other = "clean" if recipe.positives == "adversarial" else "adversarial"
    step_size = madry_step(_L2_EPS, recipe.attack.steps)
    found: dict[str, dict[str, Any]] = {
        "as-it-is": {},
        "cross-entropy": {"weights.cross_entropy": clean},
        "positives": {"positives": other},
        "l2": {"attack.norm": "l2", "attack.eps": _L2_EPS, "attack.step_size": step_size},
        "batch-norm": {**_BATCH, "attack.mode": "eval"},
        "batch-norm-attacked": {**_BATCH, "attack.mode": "batch"},
    }
    # A network that has batch norm anyway is not trained twice.
    return {n: f for n, f in found.items() if not f or changed(recipe, f) != recipe}


def training_questions(recipe: Recipe) -> tuple[tuple[Question, dict[str, str]], ...]:
    """Return what a recipe leaves open in training, and the run that answers for each value.

    Args:
        recipe: of Robust JEM, at the size that is ablated.

    Raises:
        Mistake: for one whose attack is not in Linf, or that does not contrast.
    """
    if recipe.attack.norm != "linf" or not (recipe.weights.likelihood and recipe.attack.eps):
        raise Mistake(f"{recipe.name} is no Robust JEM of an Linf attack: ablate that")
    found = variants(recipe)
    weight, positives = recipe.weights.cross_entropy, recipe.positives
    other = {name: next(iter(found[name].values())) for name in ("cross-entropy", "positives")}
    modes = {"eval": "batch-norm", "batch": "batch-norm-attacked"}
    modes = {mode: name if name in found else "as-it-is" for mode, name in modes.items()}
    ours = recipe.attack.mode
    return (
        _asked(
            "clean-cross-entropy",
            "weight of the cross-entropy on clean images, beside that on attacked ones",
            "weights.cross_entropy",
            {weight: "as-it-is", other["cross-entropy"]: "cross-entropy"},
        ),
        _asked(
            "positives",
            "data of the likelihood: clean, or adversarial as JEAT's",
            "positives",
            {positives: "as-it-is", other["positives"]: "positives"},
        ),
        _asked(
            "attack-norm",
            f"norm of the training attack: linf {recipe.attack.eps:g}, l2 {_L2_EPS:g}",
            "attack.norm",
            {"linf": "as-it-is", "l2": "l2"},
        ),
        _asked(
            "attack-mode",
            "statistics that batch norm is attacked with; both runs have batch norm",
            "attack.mode",
            {ours: modes.pop(ours), **modes},
        ),
    )


def _asked(
    name: str, what: str, field: str, values: dict[Any, str]
) -> tuple[Question, dict[str, str]]:
    """Return a question whose first value is the default, and its runs by value."""
    choices = tuple(Choice(value, sampler, {}) for sampler in _SAMPLERS for value in values)
    return Question(name, what, field, next(iter(values)), choices), values


def train_ablations(
    recipe: Recipe,
    data: DataSet,
    eyes: Eyes,
    *,
    folder: Path,
    steps: int = 500,
    seed: int = 0,
    source: str | None = None,
    root: str | Path | None = None,
    resize: int | None = None,
    count: int,
    generator: Generator,
    device: Device | None = None,
    shelf: MutableMapping[str, Any] | None = None,
    progress: Callable[[str], None] = lambda line: None,
) -> list[dict[str, Any]]:
    """Train the alternatives for a while, all by the same recipe, and judge them alike.

    Every run is judged in the Linf ball of the recipe, whatever it was trained in. A run that
    diverges has no figures, and is told.

    Args:
        recipe: of Robust JEM, at the size that is ablated.
        data: to train on.
        eyes: the judge of samples.
        folder: of the runs; those that are there are gone on with.
        steps: of each run. A ramp shrinks with them.
        seed: of every run.
        source: what the data is loaded by; its name by default.
        root: where the data lies.
        resize: height and width that its images were fitted into, if they were.
        count: samples of each run.
        generator: of samples and attacks.
        device: where to train, by default as the runs choose; images are drawn in float32.
        shelf: keeps the figures of each run; its key tells the data, the judge and
            the device.
        progress: hears what is trained next.

    Returns:
        As :func:`~jemstone.experiments.ablations.ablate`, rows having ``accuracy``,
        ``robust_accuracy`` and ``diverged`` (None, or the reason) too.

    Raises:
        Mistake: for a recipe that is no Robust JEM.
    """
    asked, sized = training_questions(recipe), of_length(recipe, steps)
    kept: MutableMapping[str, Any] = {} if shelf is None else shelf
    found: dict[str, Any] = {}
    for number, (name, fields) in enumerate(variants(recipe).items()):
        key = f"{recipe.name} {name} {steps} {seed} {count} {generator.seed}"
        if key not in kept:
            progress(f"ablation of training, {number + 1} of {len(variants(recipe))}: {name}")
            run = begin(
                folder / f"{name}-{seed}",
                changed(sized, fields),
                data,
                seed=seed,
                source=source,
                root=root,
                resize=resize,
                device=device,
                again=True,
            )
            kept[key] = finite(_judged(run, recipe, data, eyes, count, generator))
        found[name] = kept[key]
    answers = []
    for question, runs in asked:
        rows = [
            {"value": choice.value, "sampler": choice.sampler}
            | found[runs[choice.value]]["samplers"][choice.sampler]
            | found[runs[choice.value]]["classifier"]
            for choice in question.choices
        ]
        answers.append(question.answered(rows))
    return answers


def _judged(
    run: Run,
    recipe: Recipe,
    data: DataSet,
    eyes: Eyes,
    count: int,
    generator: Generator,
) -> dict[str, Any]:
    """Train a run to its end, and judge its samples and its classifier."""
    try:
        run.train(data)
    except Diverged as diverged:
        lost: dict[str, Any] = dict.fromkeys(("accuracy", "robust_accuracy"))
        samplers: Mapping[str, Any] = {name: dict.fromkeys(FIGURES) for name in _SAMPLERS}
        return {"samplers": samplers, "classifier": lost | {"diverged": str(diverged)}}
    there = Device(run.device.name)
    model = run.model().to(there.name)
    rows = robust_accuracy(
        model,
        attacked_images(data.test, generator),
        "linf",
        [recipe.attack.eps],
        generator=generator.fold("attack"),
        steps=_ATTACK_STEPS,
        restarts=_RESTARTS,
    )
    samplers = {
        name: sampled_figures(
            model,
            run.sampler(name),
            eyes,
            count=count,
            classes=run.classes,
            generator=generator,
            device=there,
        )
        for name in _SAMPLERS
    }
    classifier = {
        "accuracy": agreement(predictions(model, data.test), data.test.labels),
        "robust_accuracy": rows[0]["value"],
        "diverged": None,
    }
    return {"samplers": samplers, "classifier": classifier}
