"""What a trained run leaves open in sampling: nothing is trained, only drawn and judged."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, MutableMapping
from typing import Any

from jemstone.data import DataSet
from jemstone.experiments.ablations.figures import sampled_figures
from jemstone.experiments.ablations.question import Choice, Question
from jemstone.experiments.runs import Run
from jemstone.experiments.sight import Eyes
from jemstone.files import finite
from jemstone.recipes import Recipe, build_sampler, changed
from jemstone.recipes.units import length, raw_step
from jemstone.samplers import madry_step
from jemstone.training import Device
from jemstone.types import Generator

__all__ = ["ablate", "questions", "questions_of_jempp"]

_FACTORS = (0.6, 0.8, 0.95, 1.0)
_LESS_CONTRAST = 0.8  # our reading of the paper, which names no number
_RADII = (0.25, 0.5, 1.0, 2.5, 5.0)  # times the training attack's; 5 is the paper's proportion
_ATTACK_STEPS = (5, 15, 30, 60)  # 15 is the paper's, 60 Santurkar et al.'s
_PAPER_WALK = 50


def ablate(
    run: Run,
    jempp: Run | None,
    data: DataSet,
    eyes: Eyes,
    *,
    count: int,
    generator: Generator,
    device: Device | None = None,
    shelf: MutableMapping[str, Any] | None = None,
    progress: Callable[[str], None] = lambda line: None,
) -> list[dict[str, Any]]:
    """Measure the alternatives to each setting of sampling, one changed at a time.

    Args:
        run: a trained Robust JEM.
        jempp: a trained JEM++, for the step of its own evaluation; None leaves that out.
        data: the runs'.
        eyes: the judge of samples.
        count: samples of each setting.
        generator: of samples; all settings start from the same draws.
        device: where to draw; by default where the run was trained, in float32.
        shelf: keeps each setting's figures as they are there, those of other weights apart; its
            key tells the data, the judge and the device.
        progress: hears what is drawn next.

    Returns:
        For each question ``id``, ``what``, ``field``, ``default``, ``chosen``, ``why`` and
        ``rows`` (see :func:`~jemstone.experiments.ablations.question.decide`), ready for JSON.
    """
    asked = [(run, question) for question in questions(run.recipe, data)]
    if jempp is not None:
        asked += [(jempp, question) for question in questions_of_jempp(jempp.recipe)]
    kept: MutableMapping[str, Any] = {} if shelf is None else shelf
    weights = {of.path: of.weights_sha256 for of, _ in asked}
    models, answers = {}, []
    for number, (of, question) in enumerate(asked):
        rows = []
        for choice in question.choices:
            fields = json.dumps(dict(choice.fields), sort_keys=True)
            name = f"{weights[of.path]} {choice.sampler} {count} {generator.seed} {fields}"
            if name not in kept:
                progress(
                    f"ablation {number + 1} of {len(asked)}, {question.id}: "
                    f"{choice.value} by {choice.sampler}"
                )
                there = device or Device(of.device.name)
                if of.path not in models:
                    models[of.path] = of.model().to(there.name)
                recipe = changed(of.recipe, choice.fields)
                kept[name] = finite(
                    sampled_figures(
                        models[of.path],
                        build_sampler(recipe, choice.sampler, of.gaussian),
                        eyes,
                        count=count,
                        classes=of.classes,
                        generator=generator,
                        device=there,
                    )
                )
            rows.append({"value": choice.value, "sampler": choice.sampler, **kept[name]})
        answers.append(question.answered(rows))
    return answers


def questions(recipe: Recipe, data: DataSet) -> tuple[Question, ...]:
    """Return what a recipe leaves open in sampling.

    Args:
        recipe: of a trained run.
        data: it was trained on.
    """
    return (
        *_of_contrast(recipe, data),
        *_of_attack(recipe),
        *(_of_walk(recipe, sampler, f"{sampler}-steps") for sampler in ("energy", "combined")),
        _of_mode(recipe),
    )


def _of_contrast(recipe: Recipe, data: DataSet) -> Iterator[Question]:
    default, clamp = recipe.sampling.contrast, recipe.sampling.combined.clamp
    factor, pivot = "sampling.contrast.factor", "sampling.contrast.pivot"
    yield Question(
        "contrast-factor",
        "contrast kept between attack and walk",
        factor,
        default.factor,
        _by(factor, default.factor, _FACTORS, "combined"),
    )
    # Where hardly any contrast is taken, the grey that stays cannot matter.
    least = min(default.factor, _LESS_CONTRAST)
    mean = round(float(data.train.first(1000).x.mean()), 2)
    greys = sorted({0.0, mean, 0.5, default.pivot})
    yield Question(
        "contrast-pivot",
        f"the grey that stays, at a contrast of {least:g}; {mean:g} is the data's mean",
        pivot,
        default.pivot,
        tuple(Choice(grey, "combined", {factor: least, pivot: grey}) for grey in greys),
    )

    def named(kept: float, clamped: bool) -> str:
        return f"contrast {kept:g}, {'clamped' if clamped else 'not clamped'}"

    yield Question(
        "clamp",
        "less contrast, and a walk that may leave the box of pixels",
        f"{factor} and sampling.combined.clamp",
        named(default.factor, clamp),
        tuple(
            Choice(
                named(kept, clamped),
                "combined",
                _but(recipe, {factor: kept, "sampling.combined.clamp": clamped}),
            )
            for kept in sorted({_LESS_CONTRAST, default.factor, 1.0})
            for clamped in (False, True)
        ),
    )


def _of_attack(recipe: Recipe) -> Iterator[Question]:
    attack, trained = recipe.sampling.attack, recipe.attack.eps
    radii = [float(f"{trained * factor:.6g}") for factor in _RADII]
    for name, what, default, values in (
        ("eps", f"radius of painting; that of training is {trained:g}", attack.eps, radii),
        ("steps", "steps of painting", attack.steps, _ATTACK_STEPS),
    ):
        choices = []
        for sampler in ("combined", "attack"):
            for value in sorted({default, *values}):
                eps, steps = (value, attack.steps) if name == "eps" else (attack.eps, value)
                fields = {
                    f"sampling.attack.{name}": value,
                    "sampling.attack.step_size": madry_step(eps, steps),
                }
                choices.append(Choice(value, sampler, {} if value == default else fields))
        yield Question(f"attack-{name}", what, f"sampling.attack.{name}", default, tuple(choices))


def _of_walk(recipe: Recipe, sampler: str, name: str) -> Question:
    field = f"sampling.{sampler}.steps"
    default = getattr(recipe.sampling, sampler).steps
    values = (max(1, default // 5), max(1, default // 2), 2 * default, _PAPER_WALK)
    return Question(
        name,
        f"passes of the walk that ends `{sampler}`, of {recipe.name}",
        field,
        default,
        _by(field, default, values, sampler),
    )


def _of_mode(recipe: Recipe) -> Question:
    field, default = "sampling.energy.mode", recipe.sampling.energy.mode
    normed = recipe.network.norm == "batch"
    return Question(
        "mode",
        "statistics that batch norm samples with",
        field,
        default,
        _by(field, default, ("eval", "batch") if normed else (), "energy"),
        "" if normed else "the network has no batch norm: both modes are one",
    )


def questions_of_jempp(recipe: Recipe) -> tuple[Question, ...]:
    """Return what is asked of JEM++: how far to walk, and its code's two steps of a walk.

    Walks that suit Robust JEM need not suit JEM++, whose row stands beside it. JEM++'s code trains
    with inner steps of 0.2 and evaluates with 1.0, and with an outer step of 1.0 before them and
    noise of 0.01 after, in [-1, 1]. Its stem is one convolution, so the outer step is one more
    inner step. Of a walk without inner steps, or of a temperature, nothing is asked: it is not
    JEM++'s.

    Args:
        recipe: of a trained JEM++.
    """
    walk, where = recipe.sampling.energy, "sampling.energy"
    if walk.inner == 1 or walk.temperature is not None:
        return ()
    trained = f"as trained: {walk.inner} x {walk.step_size:g}"
    longer = {f"{where}.step_size": raw_step(1.0)}
    evaluated = {**longer, f"{where}.inner": walk.inner + 1, f"{where}.noise": length(0.01)}
    step, noise, inner = raw_step(1.0), length(0.01), walk.inner
    alternatives = {
        trained: {},
        f"longer: {inner} x {step:g}": longer,
        f"JEM++'s evaluation: {inner + 1} x {step:g}, noise {noise:g}": evaluated,
    }
    return (
        _of_walk(recipe, "energy", "jempp-energy-steps"),
        Question(
            "jempp-step",
            "JEM++'s step of training against that of its evaluation",
            f"{where}.step_size, inner and noise, of jempp",
            trained,
            tuple(Choice(value, "energy", fields) for value, fields in alternatives.items()),
        ),
    )


def _by(field: str, default: Any, values: Iterable[Any], sampler: str) -> tuple[Choice, ...]:
    """Return the values of one field and its default, in order."""
    ordered = sorted({default, *values})
    return tuple(Choice(v, sampler, {} if v == default else {field: v}) for v in ordered)


def _but(recipe: Recipe, fields: dict[str, Any]) -> dict[str, Any]:
    """Return those of the fields that a recipe has otherwise."""
    return {name: v for name, v in fields.items() if changed(recipe, {name: v}) != recipe}
