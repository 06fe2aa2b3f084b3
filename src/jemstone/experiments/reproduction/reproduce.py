"""The whole way: train, judge, put the table together; then the studies, and once more."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from torch import Tensor

from jemstone.errors import Mistake, brief, of_the_environment
from jemstone.experiments.ablations import ablate, pooled, train_ablations
from jemstone.experiments.gradients import InputGradients, compare_gradients
from jemstone.experiments.judge import Judge, judge_for
from jemstone.experiments.reproduction.cells import judge_cells
from jemstone.experiments.reproduction.measured import Measured
from jemstone.experiments.reproduction.networks import Trained, check_runs, train_networks
from jemstone.experiments.reproduction.rows import MATRIX
from jemstone.experiments.reproduction.table import table
from jemstone.experiments.reproduction.trajectory import trajectory
from jemstone.experiments.reproduction.work import Work
from jemstone.experiments.sight import Eyes, open_eyes, refuse_few
from jemstone.experiments.stability import stability
from jemstone.experiments.store import Shelf
from jemstone.files import read_tensors
from jemstone.metrics import Inception
from jemstone.types import Generator

__all__ = ["Outcome", "check_work", "reproduce"]

_SHOWN = 10  # images whose gradients are drawn
Picture = TypeVar("Picture")


@dataclass(frozen=True)
class Outcome:
    """What a reproduction has come to.

    Args:
        result: the table and all that stands beside it, ready for JSON.
        samples: a few images of each class and their labels, by ``network/sampler``.
        trajectory: of combined inference; None where there is no Robust JEM that can be walked.
        gradients: on the same images for every network that has any; None where none has.
    """

    result: dict[str, Any]
    samples: Mapping[str, tuple[Tensor, Tensor]] = field(default_factory=dict)
    trajectory: Mapping[str, Any] | None = None
    gradients: InputGradients | None = None


def check_work(work: Work) -> None:
    """Refuse what cannot be done, before anything is written.

    Raises:
        Mistake: saying what.
    """
    refuse_few(work.plan.count, work.data)
    check_runs(work)


def reproduce(work: Work, judge: Judge | Inception | None = None) -> Iterator[Outcome]:
    """Train, judge and report; what is done is kept in the folder, and not done again.

    Args:
        work: what to do, and where; see :func:`check_work`.
        judge: the eye; by default that of the data.

    Yields:
        The outcome of the table; and where studies are asked for, that with them.

    Raises:
        Interrupted: where a listener wanted to stop.
    """
    work.plan.write(work.out, work.data)
    trained = train_networks(work)
    work.progress("the judge")
    eye = judge or judge_for(work.data, work.cache, device=work.training, progress=work.progress)
    eyes = open_eyes(eye, work.data, cache=work.cache, progress=work.progress)
    measured = Measured(trained, judge_cells(work, trained, eyes))
    shown: dict[str, Any] = {
        "samples": _samples(work, measured),
        "trajectory": _picture(
            work, "the way of combined inference", lambda: _trajectory(work, trained)
        ),
        "gradients": _picture(work, "gradients", lambda: _gradients(work, measured)),
    }
    yield Outcome(table(work, measured, eyes), **shown)
    if not (work.plan.ablations or work.plan.stability):
        return
    counted = _stability(work) if work.plan.stability else None
    answers = _ablations(work, measured, eyes) if work.plan.ablations else None
    yield Outcome(table(work, measured, eyes, answers, counted), **shown)


def _first(trained: Sequence[Trained], network: str) -> Trained | None:
    done = [t for t in trained if t.network == network and t.status == "done"]
    return min(done, key=lambda t: t.seed, default=None)


def _picture(work: Work, name: str, made: Callable[[], Picture | None]) -> Picture | None:
    """Return what a picture is made of, or None: the table stands without it."""
    try:
        return made()
    except Exception as error:
        if of_the_environment(error):
            raise
        work.progress(f"no picture of {name}: {brief(error)}")
        return None


def _samples(work: Work, measured: Measured) -> dict[str, tuple[Tensor, Tensor]]:
    found = {}
    for network, samplers in MATRIX.items():
        one = _first(measured.trained, network)
        for sampler in samplers if one is not None else ():
            assert one is not None
            if one.seed in measured.failures(network, sampler):
                continue  # what lies there is of another day
            name = f"{network}-{sampler}-{one.seed}.safetensors"
            try:
                kept = read_tensors(work.cells / "samples" / name)
                found[f"{network}/{sampler}"] = (kept["images"], kept["labels"])
            except (Mistake, KeyError):
                continue  # a buffer that was not kept
    return found


def _trajectory(work: Work, trained: Sequence[Trained]) -> dict[str, Any] | None:
    one = _first(trained, "robust-jem")
    run = None if one is None else one.opened()
    if run is None:
        return None
    work.progress("the way of combined inference")
    return trajectory(run, work.data.classes, work.judging)


def _gradients(work: Work, measured: Measured) -> InputGradients | None:
    # A network whose gradients could not be measured cannot show them either.
    sound = [t for t in measured.trained if t.seed not in measured.failures(t.network, "gradients")]
    firsts = [_first(sound, network) for network in work.plan.networks]
    runs = [run for one in firsts if one is not None and (run := one.opened()) is not None]
    if not runs:
        return None
    count = min(_SHOWN, len(work.data.test))
    return compare_gradients(
        runs, work.data, count=count, device=work.judging, progress=work.progress
    )


def _stability(work: Work) -> dict[str, Any]:
    options: dict[str, Any] = {} if work.plan.steps is None else {"steps": work.plan.steps}
    return stability(
        work.data,
        folder=work.out / "stability",
        source=work.plan.source,
        root=work.root,
        resize=work.plan.resize,
        device=work.training,
        progress=work.progress,
        **options,
    )


def _ablations(work: Work, measured: Measured, eyes: Eyes) -> list[dict[str, Any]]:
    """Ask what the paper leaves open: of sampling, of every seed; of training, of the first."""
    judged, trained = (
        Shelf(work.cells / "ablations", work.key(eyes.judge, device))
        for device in (work.judging, work.training)
    )
    jempp = {t.seed: t.opened() for t in measured.of("jempp")}
    answers = [
        ablate(
            run,
            jempp.get(one.seed),
            work.data,
            eyes,
            count=work.plan.count,
            generator=Generator(one.seed),
            device=work.judging,
            shelf=judged,
            progress=work.progress,
        )
        for one in measured.of("robust-jem")
        if (run := one.opened()) is not None
    ]
    # Runs without a partner were asked less.
    most = max((len(answer) for answer in answers), default=0)
    answers = [answer for answer in answers if len(answer) == most]
    options: dict[str, Any] = {} if work.plan.steps is None else {"steps": work.plan.steps}
    seed = work.plan.seeds[0]
    return [
        *(pooled(answers) if answers else []),
        *train_ablations(
            work.plan.recipes["robust-jem"],
            work.data,
            eyes,
            folder=work.out / "ablations",
            seed=seed,
            source=work.plan.source,
            root=work.root,
            resize=work.plan.resize,
            count=work.plan.count,
            generator=Generator(seed),
            device=work.training,
            shelf=trained,
            progress=work.progress,
            **options,
        ),
    ]
