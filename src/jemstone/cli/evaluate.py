"""``jemstone evaluate``: judge a run, into one JSON file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from jemstone.cli.console import say
from jemstone.cli.parser import Parser, common_options
from jemstone.data import load
from jemstone.errors import Mistake
from jemstone.experiments import SUITES, Run, evaluate
from jemstone.files import write_json
from jemstone.report import classification_table, generation_table
from jemstone.training import choose_device

__all__ = ["run"]


def run(argv: Sequence[str]) -> int:
    """Judge a run; see ``jemstone evaluate --help``."""
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
    parser.add_argument("--out", required=True, help="FILE.json")
    common_options(parser)
    arguments = parser.read(argv)
    out = Path(arguments.out)
    if out.suffix != ".json":
        raise Mistake(f"--out ends in .json, not '{out.name}'")
    if out.exists():
        raise Mistake(f"{out} exists: choose another --out")
    device = choose_device(arguments.device, arguments.precision)
    opened = Run.open(Path(arguments.run))
    data = load(arguments.data, arguments.data_root) if arguments.data else opened.data()
    result = evaluate(
        opened,
        data,
        suite=arguments.suite,
        count=arguments.n,
        seed=arguments.seed,
        device=device,
        progress=say,
    )
    write_json(out, result)
    console = Console(stderr=True)
    console.print(classification_table(result))
    console.print(generation_table(result))
    print(out)
    return 0
