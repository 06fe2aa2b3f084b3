"""Train what the table needs: each network once a seed, whatever becomes of the others."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from jemstone.data import fingerprint
from jemstone.errors import Mistake, brief, of_the_environment
from jemstone.experiments.adopt import adopt, adoptable
from jemstone.experiments.begin import begin, resolved
from jemstone.experiments.flow_runs import FLOWS, FlowRun
from jemstone.experiments.flow_sizes import size_for
from jemstone.experiments.reproduction.peak import read_peak, reset_peak
from jemstone.experiments.reproduction.work import Work
from jemstone.experiments.runs import Run
from jemstone.experiments.store import Store
from jemstone.functional.gaussian import count_numbers
from jemstone.lock import Busy
from jemstone.memory import refuse_beyond_memory
from jemstone.recipes import Recipe, refuse_oversized
from jemstone.training import Diverged, Interrupted, RunFolder

__all__ = ["Trained", "check_runs", "train_networks"]


@dataclass(frozen=True)
class Trained:
    """What became of a network.

    Args:
        network: its name.
        seed: of its run.
        status: ``done``, ``diverged``, ``failed`` or ``skipped``.
        error: why it is not done, in one line.
        run: the network's, with the plan's settings of sampling; None for a flow.
        flow: the flow's run.
        seconds: of training; None where that is not known.
        steps: of training.
        peak: bytes of memory; None where that is not known.
    """

    network: str
    seed: int
    status: str
    error: str | None = None
    run: Run | None = None
    flow: FlowRun | None = None
    seconds: float | None = None
    steps: int | None = None
    peak: int | None = None

    @property
    def weights_sha256(self) -> str | None:
        """Of the file of its weights."""
        found = self.run or self.flow
        return None if found is None else found.weights_sha256

    def opened(self) -> Run | None:
        """Return the run anew: what it reads of its folder is let go with it."""
        return None if self.run is None else dataclasses.replace(self.run)


def check_runs(work: Work) -> None:
    """Refuse what cannot be trained, adopted or gone on with, before anything is written.

    Raises:
        Mistake: for weights or runs that are not the plan's.
    """
    wanted = {n: r for n, r in work.plan.recipes.items() if n in work.plan.networks}
    found = []
    for network, recipe in wanted.items():
        sized = resolved(recipe, work.data)
        for seed in work.plan.seeds:
            path = work.run(network, seed)
            if _is_run(path):
                _check_run(Run.open(path), sized, seed, work)
        if not all(_is_run(work.run(network, seed)) for seed in work.plan.seeds):
            refuse_oversized(
                sized,
                work.data.shape,
                len(work.data.classes),
                len(work.data.train),
                work.training.memory,
                work.data.resident,
            )
        weights = _weights(work, network)
        if weights is not None:
            found.append(weights)
            if not _is_run(work.run(network, 0)):
                adoptable(weights, recipe, work.data)
    if not wanted:  # then the init of the table is fitted beside flows, and by no run
        numbers = count_numbers(math.prod(work.data.shape), len(work.data.classes), None)
        refuse_beyond_memory(4 * numbers, "the class-Gaussian init", "--resize makes it small")
    if work.weights is None:
        return
    if not found:
        names = ", ".join(f"{work.data.name}-{network}" for network in wanted)
        raise Mistake(f"--weights {work.weights} holds none of {names}")
    if 0 not in work.plan.seeds:
        raise Mistake("--weights are those of seed 0: add 0 to --seeds")


def train_networks(work: Work) -> list[Trained]:
    """Train what is not trained yet, cheap networks first, seed by seed.

    A network that diverges or fails is told, and the next one is trained. A diverged one would do
    so again, and is left as long as its folder is there; a failed one is tried again when the
    same is asked for again.

    Raises:
        Interrupted: where a listener wanted to stop; what is done is kept.
        Busy: where another process trains one of them.
    """
    kept = Store(work.cells / "training", work.plan.key(work.data))
    known = kept.read()
    asked = [(network, seed) for network in work.plan.networks for seed in work.plan.seeds]
    done = []
    for number, (network, seed) in enumerate(asked):
        name = f"{network}-{seed}"
        told = f"network {number + 1} of {len(asked)}: {network}, seed {seed}"
        if known.get(name, {}).get("status") == "diverged" and work.run(network, seed).is_dir():
            error = str(known[name]["error"])
            work.progress(f"{told}: {error}")
            done.append(Trained(network, seed, "diverged", error))
            continue
        fresh = reset_peak(work.training)
        try:
            trained, worked = _trained(work, network, seed, told)
        except (Interrupted, Busy):
            raise
        except Exception as error:  # whatever a library raised
            if of_the_environment(error):
                raise
            status = _status(network, error)
            trained, worked = Trained(network, seed, status, brief(error)), True
            work.progress(f"{told}: {status}, {trained.error}")
        peak = read_peak(work.training, fresh) if worked else known.get(name, {}).get("peak")
        if worked:
            kept.write(name, {"status": trained.status, "error": trained.error, "peak": peak})
        done.append(dataclasses.replace(trained, peak=peak))
    return done


def _status(network: str, error: Exception) -> str:
    if isinstance(error, Diverged):
        return "diverged"
    absent = network in FLOWS and isinstance(error, Mistake) and find_spec("normflows") is None
    return "skipped" if absent else "failed"


def _trained(work: Work, network: str, seed: int, told: str) -> tuple[Trained, bool]:
    """Return a trained network, and whether it was trained just now."""
    if network in FLOWS:
        return _trained_flow(work, network, seed, told)
    path, recipe = work.run(network, seed), work.plan.recipes[network]
    if _is_run(path):
        run = Run.open(path)
    else:
        weights = _weights(work, network) if seed == 0 else None
        options: dict[str, Any] = {
            "seed": seed,
            "source": work.plan.source,
            "root": work.root,
            "resize": work.plan.resize,
            "device": work.training,
            "statistics": _statistics(work, recipe),
        }
        if weights is not None:
            told += f", adopted from {weights}"
            run = adopt(path, weights, recipe, work.data, **options)
        else:
            run = begin(path, recipe, work.data, **options)
    left = run.steps_done < run.steps
    if left:
        since = f", from step {run.steps_done}" if run.steps_done else ""
        work.progress(f"{told}, {run.steps} steps{since}, {run.device}")
        with work.watched(network, run.steps) as listener:
            run.train(work.data, listener)
    else:
        work.progress(f"{told}: trained")
    # All seeds are sampled alike, those adopted too.
    run = dataclasses.replace(run, recipe=_sampled(run.recipe, recipe))
    return Trained(network, seed, "done", None, run, None, _seconds(run), run.steps), left


def _trained_flow(work: Work, network: str, seed: int, told: str) -> tuple[Trained, bool]:
    path, data, budget = work.run(network, seed), work.data, work.plan.budget
    size = size_for(network, data, budget)
    if work.plan.steps is not None:
        shorter = dataclasses.replace(size.optimisation, steps=work.plan.steps)
        size = dataclasses.replace(size, optimisation=shorter)
    flow = FlowRun.begin(  # or the one that is there
        path, network, data, budget, seed, size=size, device=work.training
    )
    left = not flow.done
    work.progress(f"{told}, {flow.steps} steps" if left else f"{told}: trained")
    if left:
        with work.watched(network, flow.steps) as listener:
            flow.train(data, wants_stop=listener.wants_stop, on_metrics=listener.on_metrics)
    return Trained(network, seed, "done", None, None, flow, flow.train_seconds, flow.steps), left


def _is_run(path: Path) -> bool:
    return (path / "recipe.yaml").is_file()


def _check_run(run: Run, recipe: Recipe, seed: int, work: Work) -> None:
    """Refuse a run that was there and is not the one the plan asks for."""
    same = (run.seed, run.environment["data_fingerprint"]) == (seed, fingerprint(work.data))
    alike = "adopted" in run.environment or _sampled(run.recipe, recipe) == recipe
    if not (same and alike and run.recipe.name == recipe.name):
        raise Mistake(
            f"{run.path} is of another recipe, seed or data than this plan's: choose another --out"
        )


def _sampled(recipe: Recipe, like: Recipe) -> Recipe:
    return dataclasses.replace(recipe, sampling=like.sampling)


def _weights(work: Work, network: str) -> Path | None:
    """Return the folder of weights that a network has, if there is one."""
    if work.weights is None:
        return None
    folder = work.weights / f"{work.data.name}-{network}"
    return folder if folder.is_dir() else None


def _statistics(work: Work, recipe: Recipe) -> Path | None:
    """Return the class Gaussians of another run of this folder that has fitted the same."""
    wanted = (recipe.chains.jitter, recipe.chains.rank)
    for network, other in work.plan.recipes.items():
        for seed in work.plan.seeds:
            path = work.run(network, seed)
            if not _is_run(path) or (other.chains.jitter, other.chains.rank) != wanted:
                continue
            run = Run.open(path)
            fitted = (run.recipe.chains.jitter, run.recipe.chains.rank)
            on = run.environment["data_fingerprint"]
            if fitted == wanted and on == fingerprint(work.data):
                return path / "init.safetensors"
    return None


def _seconds(run: Run) -> float | None:
    """Add up the time of a run's steps; None for one that was trained elsewhere."""
    step, seconds, lines = 0, 0.0, list(RunFolder(run.path).metrics())
    for line in lines:
        seconds += (line["step"] - step) * (line.get("seconds_per_step") or 0.0)
        step = line["step"]
    return seconds if lines else None
