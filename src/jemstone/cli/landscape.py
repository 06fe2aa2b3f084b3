"""``jemstone landscape``: what runs on points believe, as a picture and in exact figures."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from jemstone.cli.console import say
from jemstone.cli.parser import Parser, choose_for_judging, common_options
from jemstone.errors import Mistake
from jemstone.experiments import Landscape, Run, data_landscape, landscape, source_commit
from jemstone.files import check_new, write_json
from jemstone.recipes import SAMPLERS
from jemstone.report import draw_landscapes

__all__ = ["run"]


def run(argv: Sequence[str]) -> int:
    """Draw landscapes; see ``jemstone landscape --help``."""
    parser = Parser(
        "landscape",
        "Draw the densities of runs on moons or spirals side by side, with exact figures.",
        "jemstone landscape runs/jempp runs/robust-jem --out landscape.png",
    )
    parser.add_argument("runs", nargs="+", help="folders of runs on points")
    parser.add_argument("--sampler", default="unconditional", help=f"shown: {', '.join(SAMPLERS)}")
    parser.add_argument("--samples", type=int, default=4000, help="points of each sampler")
    parser.add_argument("--out", required=True, help="FILE.png; figures go to FILE.json beside it")
    common_options(parser)
    arguments = parser.read(argv)
    out = Path(arguments.out)
    if out.suffix != ".png":
        raise Mistake(f"--out ends in .png, not '{out.name}'")
    figures = out.with_suffix(".json")
    check_new(out)
    check_new(figures)
    device = choose_for_judging(arguments.device, arguments.precision)
    rows: dict[str, list[Landscape]] = {}
    for folder in arguments.runs:
        opened = Run.open(Path(folder))
        data = opened.data()
        row = rows.setdefault(data.name, [data_landscape(data)])
        row.append(
            landscape(
                opened,
                data,
                sampler=arguments.sampler,
                count=arguments.samples,
                seed=arguments.seed,
                device=device,
                progress=say,
            )
        )
    draw_landscapes(out, list(rows.values()))
    write_json(
        figures,
        {
            "command": shlex.join(["jemstone", "landscape", *argv]),
            "commit": source_commit(),
            "seed": arguments.seed,
            "samples": arguments.samples,
            "data": [row[0].figures for row in rows.values()],
            "landscapes": [panel.figures for row in rows.values() for panel in row[1:]],
        },
    )
    print(figures)
    print(out)
    return 0
