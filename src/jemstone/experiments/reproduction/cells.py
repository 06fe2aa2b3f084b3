"""Judge each network under each sampler, seed by seed: the cells that every table is made of."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from jemstone.data import Images, firsts
from jemstone.errors import Mistake, brief, of_the_environment
from jemstone.experiments.case import Case, Settings
from jemstone.experiments.drawing import balanced_labels, draw
from jemstone.experiments.evaluation import case_of_run
from jemstone.experiments.figures import figures_of
from jemstone.experiments.gradients import classes_in_turn, compare_gradients
from jemstone.experiments.provenance import source_commit
from jemstone.experiments.reproduction.costs import drawn
from jemstone.experiments.reproduction.networks import Trained
from jemstone.experiments.reproduction.rows import CONTROLS, MATRIX
from jemstone.experiments.reproduction.work import Work
from jemstone.experiments.runs import Run
from jemstone.experiments.shown import shown_classes
from jemstone.experiments.sight import Eyes
from jemstone.experiments.store import Store
from jemstone.experiments.suites import PARTS
from jemstone.files import finite, write_tensors
from jemstone.metrics import LAWS
from jemstone.recipes import PAPERS, Recipe, build_sampler, changed
from jemstone.samplers import ClassGaussian, Sampler, madry_step
from jemstone.types import Generator

__all__ = ["ABOUT", "REFERENCES", "Cell", "Cells", "judge_cells", "sampler_of"]

Cell = tuple[str, str, int]
"""Network, sampler or what else is asked about it, seed."""

Cells = Mapping[Cell, Mapping[str, Any]]
"""The figures of each; one that could not be judged has an ``error``."""

ABOUT = ("classification", "gradients")
"""What every network that is no flow is asked, beside its samples."""

REFERENCES = {
    "init": "class-Gaussian init",
    "held-out": "held-out data, compared with themselves",
    "train": "training data, as many as samples",
}
"""What stands beside the samples, by id."""

_SHOWN = 10  # of each class


def judge_cells(work: Work, trained: Sequence[Trained], eyes: Eyes) -> Cells:
    """Judge what is not judged yet. A cell that fails is told, and the next one is judged.

    Args:
        work: where.
        trained: the networks.
        eyes: the judge of samples.
    """
    kept = Store(work.cells, work.key(eyes.judge, work.judging))
    known, cells = kept.read(), {}
    # A network that was trained or adopted anew is judged anew.
    weights = {(one.network, one.seed): one.weights_sha256 for one in trained}
    asked = _asked(work, [one for one in trained if one.status == "done"], eyes)
    count, commit = len(asked), source_commit()
    for number, cell in enumerate(list(asked)):
        # Taken out, so that a network is let go after the last of its cells.
        name, judge = "-".join(map(str, cell)), asked.pop(cell)
        network, what, seed = cell
        judged = weights.get((network, seed))
        if name not in known or known[name].get("weights_sha256") != judged:
            work.progress(f"cell {number + 1} of {count}: {network}, {what}, seed {seed}")
            try:
                known[name] = {**finite(judge()), "weights_sha256": judged, "commit": commit}
                kept.write(name, known[name])
            except Exception as error:
                if of_the_environment(error):
                    raise
                known[name] = {"error": brief(error)}
                work.progress(f"failed: {brief(error)}")
        cells[cell] = known[name]
    return cells


def sampler_of(recipe: Recipe, name: str, gaussian: ClassGaussian) -> Sampler:
    """Build a sampler of the matrix, or a control."""
    kind = name.partition("-")[0] if name in CONTROLS else name
    return build_sampler(_controlled(recipe, name), kind, gaussian)


def _controlled(recipe: Recipe, name: str) -> Recipe:
    """Return the recipe that a control samples by; the recipe itself for any other sampler."""
    if name == "combined-clamped":
        fields = {"sampling.contrast.factor": 1.0, "sampling.combined.clamp": True}
        return changed(recipe, fields)
    if name not in CONTROLS:
        return recipe
    paper, steps = PAPERS[recipe.name]().recipe(), recipe.sampling.attack.steps
    eps = recipe.attack.eps * paper.sampling.attack.eps / paper.attack.eps
    fields = {"sampling.attack.eps": eps, "sampling.attack.step_size": madry_step(eps, steps)}
    if name == "combined-paper":
        fields["sampling.contrast.factor"] = paper.sampling.contrast.factor
    return changed(recipe, fields)


def _asked(
    work: Work, trained: Sequence[Trained], eyes: Eyes
) -> dict[Cell, Callable[[], dict[str, Any]]]:
    """List every cell with how it is judged, references first."""
    asked: dict[Cell, Callable[[], dict[str, Any]]] = {}
    for seed in work.plan.seeds:
        asked["data", "init", seed] = partial(_init, work, trained, eyes, seed)
        asked["data", "train", seed] = partial(_learnt, work, eyes, seed)
    asked["data", "held-out", work.plan.seeds[0]] = partial(figures_of, eyes.reference, eyes)
    for one in trained:
        opened = _Opened(work, one, one.opened(), eyes)
        whats = MATRIX.get(one.network, ())
        for what in (*whats, *(ABOUT if one.run is not None else ())):
            # The buffer of an adopted run was not kept.
            if what == "buffer" and one.run is not None and "adopted" in one.run.environment:
                continue
            # At the paper's own budget its painting is no control but the row itself.
            if what in CONTROLS and one.run and _controlled(one.run.recipe, what) == one.run.recipe:
                continue
            asked[one.network, what, one.seed] = partial(opened.judge, what)
    return asked


def _kept(verdict: Mapping[str, Any] | bool) -> bool:
    """Tell whether a law was kept, of a whole verdict or of its answer alone."""
    return bool(verdict["passed"] if isinstance(verdict, Mapping) else verdict)


def _generator(seed: int) -> Generator:
    """Return the randomness of samples, `jemstone evaluate --seed`'s: all begin at one init."""
    return Generator(seed).fold("samples")


def _init(work: Work, trained: Sequence[Trained], eyes: Eyes, seed: int) -> dict[str, Any]:
    """Judge draws of the class Gaussians that every sampler begins with."""
    run = next((one.opened() for one in trained if one.run is not None), None)
    train, classes = work.data.train, len(work.data.classes)
    gaussian = run.gaussian if run else ClassGaussian.fit(train.pixels, train.y, classes)
    y = balanced_labels(work.plan.count, classes)
    pixels, cost = drawn(
        lambda: torch.cat(
            [gaussian(y[p], _generator(seed).fold("init").at(p)) for p in _split(len(y))]
        ),
        len(y),
        0,
        work.judging,
    )
    return {**figures_of(Images(pixels, y), eyes), **cost}


def _split(count: int) -> Sequence[Tensor]:
    places: Sequence[Tensor] = torch.arange(count).split(250)
    return places


def _learnt(work: Work, eyes: Eyes, seed: int) -> dict[str, Any]:
    """Judge training images, classes in turn: what a model that recites would reach."""
    train = work.data.train
    chosen = classes_in_turn(train.labels, Generator(seed).fold("reference"))[: work.plan.count]
    return figures_of(Images(train.bytes[chosen], train.labels[chosen]), eyes)


@dataclasses.dataclass
class _Opened:
    """A trained network, and how its cells are judged; loaded when the first of them is."""

    work: Work
    one: Trained
    run: Run | None
    eyes: Eyes
    case: Case | None = None

    def judge(self, what: str) -> dict[str, Any]:
        """Return the figures of a cell."""
        if self.one.flow is not None:
            return self.of_flow()
        parts = {"classification": self.classification, "gradients": self.gradients}
        return parts[what]() if what in parts else self.of_sampler(what)

    def open(self) -> Case:
        """Load the network."""
        if self.case is None:
            assert self.run is not None
            plan, work = self.work.plan, self.work
            # All networks are attacked in the ball of Robust JEM.
            threat = plan.recipes["robust-jem"].attack
            settings = Settings("quick", plan.count, self.one.seed, threat.norm, threat.eps)
            self.case = case_of_run(
                self.run,
                work.data,
                settings,
                device=work.judging,
                judge=self.eyes.judge,
                cache=work.cache,
                progress=work.progress,
            )
        return self.case

    def classification(self) -> dict[str, Any]:
        """Judge accuracy, clean and attacked, as `jemstone evaluate` does."""
        case = self.open()
        clean, attacked = (PARTS[name](case, {}) for name in ("classification", "pgd"))
        norm, eps = case.threat.norm, case.threat.eps
        rows = attacked["robust_accuracy"]
        row = next(row for row in rows if row["eps"] == eps)
        # What a network hides in one ball it may hide in all.
        asked = [law for law in LAWS if any(law in of["laws"] for of in rows)]
        laws = {law: all(_kept(of["laws"].get(law, True)) for of in rows) for law in asked}
        return {
            "accuracy": clean["accuracy"],
            "robust_accuracy": row["value"] if all(laws.values()) else None,
            "left_standing": row["value"],
            "laws": laws,
            "attack": f"{row['attack']} on cross-entropy, {norm} {eps:g}",
            "attacked": row["n"],
        }

    def gradients(self) -> dict[str, Any]:
        """Measure how far input gradients line up with images and classes."""
        run, data = self.run, self.work.data
        assert run is not None
        result = compare_gradients([run], data, seed=self.one.seed, device=self.work.judging).result
        (found,) = result["runs"]
        measured = {k: v["mean"] for k, v in found.items() if isinstance(v, dict) and "mean" in v}
        return {"n": result["n"], "flat": found["flat"], **measured}

    def of_sampler(self, name: str) -> dict[str, Any]:
        """Draw samples, or take the buffer's, and judge them."""
        case, run, work = self.open(), self.run, self.work
        assert run is not None
        y = balanced_labels(work.plan.count, run.classes)
        if name == "buffer":
            chains = run.chains()
            if chains is None:
                raise Mistake(f"{run.path} keeps no chains")
            pixels = drawn(lambda: chains[: len(y)], len(y), 0, work.judging)[0]
            cost = dict.fromkeys(("seconds_per_image", "passes_per_image", "peak_bytes"))
        else:
            sampler = sampler_of(run.recipe, name, run.gaussian)
            stream, device = case.generator.fold("samples"), work.judging
            pixels, cost = drawn(
                lambda: draw(case.model, sampler, y, stream, device=device),
                len(y),
                sampler.passes,
                device,
            )
        intended = name not in ("buffer", "unconditional")
        if not intended:
            y = shown_classes(case.model, pixels)
        return self.judged(name, pixels, y, "intended" if intended else "predicted", cost)

    def of_flow(self) -> dict[str, Any]:
        """Draw a flow's samples and judge them, and its likelihood of held-out images."""
        flow, data = self.one.flow, self.work.data
        assert flow is not None
        y = balanced_labels(self.work.plan.count, len(data.classes))
        lost: list[int] = []
        pixels, cost = drawn(
            lambda: flow.sample(y, _generator(self.one.seed), lost.append).clamp(0.0, 1.0),
            len(y),
            0,
            self.work.judging,
        )
        figures = self.judged("flow", pixels, y, "intended", cost)
        bits = flow.bits_per_dim(data.test, Generator(self.one.seed).fold("bits"))
        return {**figures, "bits_per_dim": bits, "overflowed": sum(lost)}

    def judged(
        self, name: str, pixels: Tensor, y: Tensor, labels: str, cost: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Return the figures of samples, some of which are kept to be shown."""
        classes = len(self.work.data.classes)
        shown = torch.cat(firsts(y, classes, _SHOWN))
        write_tensors(
            self.work.cells / "samples" / f"{self.one.network}-{name}-{self.one.seed}.safetensors",
            {"images": pixels[shown], "labels": y[shown]},
        )
        return {**figures_of(Images(pixels, y), self.eyes), "labels": labels, **cost}
