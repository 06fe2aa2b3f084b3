"""``jemstone gradients``: the input gradients of runs, as a picture and in numbers."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from jemstone.cli.console import results, say
from jemstone.cli.parser import Parser, choose_for_judging, common_options
from jemstone.cli.voice import speaks
from jemstone.errors import Mistake
from jemstone.experiments import Run, compare_gradients, data_of
from jemstone.files import check_new, write_json
from jemstone.report import draw_gradients, gradients_table

__all__ = ["run"]


def run(argv: Sequence[str]) -> int:
    """Compare runs; see ``jemstone gradients --help``."""
    arguments = _parser().read(argv)
    out = Path(arguments.out)
    if out.suffix != ".png":
        raise Mistake(f"--out ends in .png, not '{out.name}'")
    numbers = Path(arguments.json) if arguments.json else out.with_suffix(".json")
    if numbers.suffix != ".json":
        raise Mistake(f"--json ends in .json, not '{numbers.name}'")
    check_new(out)
    check_new(numbers)
    device = choose_for_judging(arguments.device, arguments.precision)
    runs = [Run.open(Path(folder)) for folder in arguments.runs]
    data = data_of(runs, arguments.data, arguments.data_root, arguments.resize, say)
    found = compare_gradients(
        runs, data, count=arguments.n, seed=arguments.seed, device=device, progress=say
    )
    if not speaks():
        return 0
    title = f"{data.name}, held out; below, the direction towards more of its class, -grad E(x, y)"
    draw_gradients(out, found.images, found.rows, title)
    command = shlex.join(["jemstone", "gradients", *argv])
    write_json(numbers, {"command": command, **found.result})
    results(160).print(gradients_table(found.result))
    print(numbers)
    print(out)
    return 0


def _parser() -> Parser:
    parser = Parser(
        "gradients",
        "Compare the input gradients of runs on the same held-out images.",
        "jemstone gradients runs/classifier runs/robust-jem --out gradients.png",
    )
    parser.add_argument("runs", nargs="+", help="folders of runs, of one data set")
    told = "images measured, 200 or all that there are; ten are drawn"
    parser.add_argument("--n", type=int | None, help=told)
    parser.add_argument("--data", type=str | None, help="by default the runs' own")
    parser.add_argument("--data_root", type=str | None, help="folder that holds the data")
    parser.add_argument("--resize", type=int | None, help="pixels to fit the images of --data to")
    parser.add_argument("--out", required=True, help="FILE.png")
    parser.add_argument("--json", type=str | None, help="FILE.json; by default beside --out")
    common_options(parser)
    return parser
