"""``jemstone evaluate``: judge a run, into one JSON file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from jsonargparse import Namespace

from jemstone.cli.console import results, say
from jemstone.cli.parser import Parser, choose_for_judging, common_options
from jemstone.cli.voice import speaks
from jemstone.data import DataSet, load
from jemstone.errors import Mistake, unknown
from jemstone.experiments import SUITES, Judge, Run, evaluate, judge_from
from jemstone.files import check_new, write_json
from jemstone.metrics import Inception
from jemstone.report import classification_table, generation_table
from jemstone.training import Device, Processes, join

__all__ = ["run"]

_FEATURES = ("judge", "inception")


def run(argv: Sequence[str]) -> int:
    """Judge a run; see ``jemstone evaluate --help``."""
    with join() as processes:
        return _evaluate(argv, processes)


def _evaluate(argv: Sequence[str], processes: Processes) -> int:
    parser = Parser(
        "evaluate",
        "Judge a run on held-out images.",
        "jemstone evaluate runs/a --suite quick --out runs/a.json",
    )
    parser.add_argument("run", help="folder of the run")
    parser.add_argument("--suite", default="quick", help=", ".join(SUITES))
    parser.add_argument("--n", type=int, default=1000, help="samples of each sampler")
    parser.add_argument("--data", type=str | None, help="by default the run's")
    parser.add_argument("--data_root", type=str | None, help="folder that holds the data")
    parser.add_argument("--resize", type=int | None, help="pixels to fit the images of --data to")
    parser.add_argument("--judge", type=str | None, help="FILE.safetensors; by default the data's")
    parser.add_argument("--features", default="judge", help=", ".join(_FEATURES))
    parser.add_argument("--inception_weights", type=str | None, help="file; by default downloaded")
    parser.add_argument("--out", required=True, help="FILE.json")
    common_options(parser)
    arguments = parser.read(argv)
    out = Path(arguments.out)
    if out.suffix != ".json":
        raise Mistake(f"--out ends in .json, not '{out.name}'")
    check_new(out)
    device = choose_for_judging(arguments.device, arguments.precision)
    opened = Run.open(Path(arguments.run))
    root = arguments.data_root
    if arguments.data:
        data = processes.in_turn(
            lambda: load(arguments.data, root, resize=arguments.resize, told=say)
        )
    elif arguments.resize is not None:
        raise Mistake("--resize goes with --data: a run's own images are as it was trained on")
    else:
        data = processes.in_turn(lambda: opened.data(root, told=say))
    result = evaluate(
        opened,
        data,
        suite=arguments.suite,
        count=arguments.n,
        seed=arguments.seed,
        device=device,
        judge=_judge(arguments, data, device),
        progress=say,
        processes=processes,
    )
    if not speaks():
        return 0
    write_json(out, result)
    console = results(120)
    console.print(classification_table(result))
    console.print(generation_table(result))
    print(out)
    return 0


def _judge(arguments: Namespace, data: DataSet, device: Device) -> Judge | Inception | None:
    """Open the judge that is asked for; None for that of the data."""
    if arguments.features not in _FEATURES:
        raise unknown("--features", arguments.features, _FEATURES)
    if arguments.features == "inception":
        if arguments.judge is not None:
            raise Mistake("--features inception is a judge of its own: leave --judge away")
        weights = arguments.inception_weights
        return Inception.load(Path(weights) if weights else None).to(device.name)
    if arguments.inception_weights is not None:
        raise Mistake("--inception_weights needs --features inception beside it")
    return judge_from(Path(arguments.judge), data) if arguments.judge else None
