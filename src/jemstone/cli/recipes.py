"""``jemstone recipes``: all of them, or one as a card."""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib import resources

from jemstone.cli.console import results
from jemstone.cli.parser import Parser
from jemstone.data import set_name
from jemstone.errors import unknown
from jemstone.recipes import PAPERS, recipe_for, resizing
from jemstone.report import card, figures, overview

__all__ = ["run"]


def run(argv: Sequence[str]) -> int:
    """List the recipes, or show one; see ``jemstone recipes --help``."""
    parser = Parser(
        "recipes",
        "List the recipes, or show one as a card.",
        "jemstone recipes robust-jem --budget paper --data cifar10",
    )
    parser.add_argument("name", nargs="?", help="of a recipe")
    parser.add_argument("--budget", default="small", help="quick, small or paper")
    parser.add_argument("--data", default="digits", help="name of a data set, FILE.npz or FOLDER")
    arguments = parser.read(argv)
    console = results(150)
    measured = _measured()
    if arguments.name is None:
        console.print(overview({name: paper() for name, paper in PAPERS.items()}, measured))
        return 0
    if arguments.name not in PAPERS:
        raise unknown("recipe", arguments.name, PAPERS)
    paper = PAPERS[arguments.name]()
    data = set_name(arguments.data)
    recipe = recipe_for(arguments.name, data, arguments.budget)
    resized = resizing(arguments.name, data, arguments.budget)
    console.print(card(paper, recipe, resized, data))
    for reference in paper.references:
        console.print(f"\n{reference}", highlight=False)
    console.print(f"paper, CIFAR-10: {figures(paper)}", highlight=False)
    console.print(f"measured here, digits: {measured.get(paper.name, 'not yet')}", highlight=False)
    return 0


def _measured() -> dict[str, str]:
    """Read our figures, one line for each recipe; the package carries them as data."""
    file = resources.files("jemstone.recipes") / "measured.json"
    lines: dict[str, str] = json.loads(file.read_text(encoding="utf-8"))
    return lines
