"""``jemstone bench``: how fast the library is on this machine, beside a plain baseline."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from jemstone.cli.console import say
from jemstone.cli.parser import Parser, common_options
from jemstone.errors import Mistake
from jemstone.experiments import source_commit
from jemstone.experiments.bench import bench, table
from jemstone.files import check_new, write_json
from jemstone.training import choose_device

__all__ = ["run"]


def run(argv: Sequence[str]) -> int:
    """Measure speed; see ``jemstone bench --help``."""
    parser = Parser(
        "bench",
        "Measure speed beside a plain baseline, on a machine that does nothing else.",
        "jemstone bench --out runs/bench.json",
    )
    parser.add_argument("--out", required=True, help="FILE.json")
    parser.add_argument("--quick", action="store_true", help="tiny sizes: does each row run?")
    parser.add_argument("--only", default="", help="rows whose name has this in it")
    parser.add_argument("--rounds", type=int, default=5, help="interleaved, of each row")
    parser.add_argument("--budget", type=float, default=120.0, help="seconds for a row")
    common_options(parser)
    arguments = parser.read(argv)
    out = Path(arguments.out)
    if out.suffix != ".json":
        raise Mistake(f"--out ends in .json, not '{out.name}'")
    if arguments.rounds < 1 or not 0 < arguments.budget <= 1e6:
        raise Mistake("--rounds is 1 or more, and --budget from 0 to 1e6 seconds")
    check_new(out)
    device = choose_device(arguments.device, arguments.precision)
    fp32 = arguments.precision != "bf16"
    works = [
        work for work in table(arguments.quick, device.bf16, fp32) if arguments.only in work.name
    ]
    if not works:
        raise Mistake(f"no row has '{arguments.only}' in its name: leave out --only for all")
    say(f"{len(works)} rows on {device}: plain baseline, ours, ratio")
    result = bench(
        works,
        device,
        rounds=arguments.rounds,
        budget=arguments.budget,
        progress=say,
        seed=arguments.seed,
    )
    about = {"command": shlex.join(["jemstone", "bench", *argv]), "seed": arguments.seed}
    write_json(out, {**about, "commit": source_commit(), "quick": arguments.quick, **result})
    print(out)
    return 0
