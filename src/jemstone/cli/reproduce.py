"""``jemstone reproduce``: the paper's table, its matrix and its claims, from one command."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import FrameType
from typing import NoReturn

from jsonargparse import Namespace

from jemstone.cli.console import Watcher, say, watched
from jemstone.cli.eyes import check_eye, eye_options, open_eye
from jemstone.cli.parser import Parser, choose_for_judging, device_options
from jemstone.data import DataSet, load
from jemstone.errors import Mistake
from jemstone.experiments import device_for, refuse_many
from jemstone.experiments.reproduction import (
    ROWS,
    Outcome,
    Plan,
    Work,
    check_work,
    reproduce,
)
from jemstone.files import read_text, sha256_of, write_json, write_whole
from jemstone.report import draw_gradients
from jemstone.report.reproduction import (
    FIGURES,
    NAMES,
    draw_samples,
    draw_trajectory,
    named,
    report_page,
    table_markdown,
)
from jemstone.training import Interrupted

__all__ = ["run"]


class _Stopped(KeyboardInterrupt):
    """A signal asked to stop: nothing catches it on the way but the command."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


def run(argv: Sequence[str]) -> int:
    """Reproduce; see ``jemstone reproduce --help``."""
    # jsonargparse keeps --print_config for itself, and would print its own defaults.
    arguments = _parser().read([token for token in argv if token != "--print_config"])
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise Mistake(
            "reproduce is one process: train with torchrun into OUT/runs/RECIPE-SEED before, and "
            "what is there is judged"
        )
    plan = _plan(arguments)
    if "--print_config" in argv:
        sys.stdout.write(plan.printed)
        return 0
    if arguments.out is None:
        raise Mistake("reproduce needs a folder for all of it: add --out runs/NAME")
    out = Path(arguments.out)
    with _stoppable():
        try:
            data = load(arguments.data, arguments.data_root, resize=arguments.resize, told=say)
            work = _work(arguments, plan, data, out)
            judge = open_eye(arguments, plan.eye, data, work.judging)
            for outcome in reproduce(work, judge):
                _write(out, outcome, data)
        except _Stopped as stopped:
            say(f"stopped, and what is done is kept in {out}: the same command goes on from there")
            return 128 + stopped.number
    sys.stdout.write(read_text(out / "table1.md"))
    print(out / "report.html")
    print(out)
    return 0


def _plan(arguments: Namespace) -> Plan:
    """Read what is asked for, in words alone."""
    judge = None if arguments.judge is None else sha256_of(Path(arguments.judge))
    plan = Plan(
        arguments.data,
        tuple(arguments.seeds),
        tuple(row for row in ROWS if row in arguments.rows)
        if set(arguments.rows) <= set(ROWS)
        else tuple(arguments.rows),
        arguments.budget,
        arguments.n,
        arguments.features,
        judge,
        arguments.steps,
        arguments.ablations,
        arguments.stability,
        None if arguments.weights is None else Path(arguments.weights).resolve().name,
        arguments.resize,
        None if arguments.judge is None else Path(arguments.judge).name,
    )
    check_eye(arguments, plan.eye)
    return plan


def _work(arguments: Namespace, plan: Plan, data: DataSet, out: Path) -> Work:
    """Join the plan with its folder's; what cannot be done is told here."""
    work = Work(
        plan.joined(out, data),
        data,
        out,
        root=arguments.data_root,
        weights=None if arguments.weights is None else Path(arguments.weights),
        training=device_for(data, arguments.device, arguments.precision),
        judging=choose_for_judging(arguments.device, arguments.precision),
        watched=_watched,
        progress=say,
    )
    check_work(work)
    refuse_many(work.plan.count, data.shape)
    return work


def _write(out: Path, outcome: Outcome, data: DataSet) -> None:
    """Write the files of an outcome, each whole, in the place of what was there."""
    for name, (key, title) in FIGURES.items():
        if key in outcome.samples:
            images, labels = outcome.samples[key]
            whole = f"{title} ({data.name}, seed {_seed(outcome, key)})"
            draw_samples(out / f"{name}.png", images, labels, data.classes, whole)
    if outcome.trajectory is not None:
        draw_trajectory(out / "trajectory.png", outcome.trajectory)
    picture = None
    if outcome.gradients is not None:
        title = f"{data.name}, held out; below, towards more of its class"
        rows = {named(NAMES, name): g for name, g in outcome.gradients.rows.items()}
        draw_gradients(out / "gradients.png", outcome.gradients.images, rows, title)
        picture = (out / "gradients.png").read_bytes()
    page = report_page(outcome.result, outcome.samples, outcome.trajectory, picture)
    for file, text in (
        (out / "report.html", page),
        (out / "table1.md", table_markdown(outcome.result)),
    ):
        write_whole(file, partial(Path.write_text, data=text, encoding="utf-8"))
    write_json(out / "table1.json", outcome.result)


def _seed(outcome: Outcome, key: str) -> int:
    """Return the first seed that a network was trained with: the samples shown are of it."""
    (network,) = (row for row in outcome.result["networks"] if row["network"] == key.split("/")[0])
    return min(int(run["seed"]) for run in network["runs"] if run["status"] == "done")


@contextmanager
def _stoppable() -> Iterator[None]:
    """Let SIGINT and SIGTERM end the command where it is: every file is whole or absent."""

    def stop(number: int, frame: FrameType | None) -> NoReturn:
        raise _Stopped(number)

    former = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


@contextmanager
def _watched(what: str, steps: int) -> Iterator[Watcher]:
    """Show a training, which a signal stops at the end of its step."""
    with watched(what, steps, plain_every=max(20, steps // 20)) as watcher:
        try:
            yield watcher
        except Interrupted as interrupted:
            raise _Stopped(watcher.signal or signal.SIGTERM) from interrupted


def _parser() -> Parser:
    parser = Parser(
        "reproduce",
        "Train, sample and judge every row of the paper's table, and weigh its claims.",
        "jemstone reproduce --data digits --seeds 0 1 2 --budget quick --out runs/paper",
    )
    parser.add_argument("--data", default="digits", help="name of a data set, FILE.npz or FOLDER")
    parser.add_argument("--data_root", type=str | None, help="folder that holds the data")
    parser.add_argument("--resize", type=int | None, help="pixels to fit all images into")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0], help="a run of each for each")
    parser.add_argument("--out", type=str | None, help="folder for all of it, new or begun")
    parser.add_argument("--rows", nargs="+", type=str, default=list(ROWS), help=", ".join(ROWS))
    parser.add_argument("--budget", default="small", help="quick, small or paper")
    parser.add_argument(
        "--ablations", action="store_true", help="measure what the paper leaves open"
    )
    parser.add_argument("--stability", action="store_true", help="count failures of short runs")
    parser.add_argument("--n", type=int | None, help="samples of each sampler; 1000, paper: 50000")
    eye_options(parser, None, "; by default that of the budget")
    parser.add_argument(
        "--weights", type=str | None, help="folder of DATA-RECIPE/model.safetensors, for seed 0"
    )
    parser.add_argument("--steps", type=int | None, help="optimiser steps, instead of the recipes'")
    parser.add_argument("--print_config", action="store_true", help="print the recipes and stop")
    device_options(parser)
    return parser
