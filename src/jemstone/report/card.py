"""A recipe as a card: each constant as the paper quotes it, in our units, with its source."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rich.table import Table

from jemstone.recipes import Paper, Recipe, flattened
from jemstone.recipes.units import UNITS, Constant

__all__ = ["card", "figures", "overview"]


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, tuple):
        return ", ".join(_shown(item) for item in value) or "none"
    if value is None:
        return "none"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _converted(constant: Constant) -> str:
    if constant.quoted is None or not UNITS[constant.unit]:
        return _shown(constant.value)
    return f"{_shown(constant.quoted)} {UNITS[constant.unit]} = {_shown(constant.value)}"


def card(paper: Paper, recipe: Recipe, resized: Iterable[Constant], data: str) -> Table:
    """Lay out a recipe, field by field.

    Args:
        paper: whose constants they are.
        recipe: as resolved for the data and the budget.
        resized: what the budget changes, with reasons.
        data: the data set's name.
    """
    papers = {constant.field: constant for constant in paper.constants}
    budgets = {constant.field: constant for constant in resized}
    table = Table(title=f"{paper.name}: {paper.summary}", title_justify="left", box=None)
    headings = ("constant", "paper -> [0, 1] pixels", "source", f"{recipe.budget}, {data}", "why")
    for heading in headings:
        table.add_column(heading, overflow="fold")
    for path, value in flattened(recipe):
        if path in ("name", "budget"):
            continue
        constant, budget = papers.get(path), budgets.get(path)
        quoted = (_converted(constant), constant.source) if constant else ("", "")
        if constant is not None and constant.value == value:
            table.add_row(path, *quoted, "same", "")
        else:
            table.add_row(path, *quoted, _shown(value), budget.source if budget else "default")
    return table


def figures(paper: Paper) -> str:
    """Write the figures that are reported for a method, with where they are printed."""
    sources = dict.fromkeys(figure.source for figure in paper.figures)
    parts = [
        ", ".join(f"{f.name} {f.value:g}" for f in paper.figures if f.source == source)
        + f" ({source})"
        for source in sources
    ]
    return "; ".join(parts) or "none"


def overview(papers: dict[str, Paper], measured: dict[str, str]) -> Table:
    """Lay out all recipes, the papers' figures beside ours.

    Args:
        papers: by the recipe's name.
        measured: our figures by the recipe's name, one line each.
    """
    table = Table(title="recipes", title_justify="left", box=None)
    for heading in ("recipe", "what it trains", "paper, CIFAR-10", "measured here, digits"):
        table.add_column(heading, overflow="fold")
    for name, paper in papers.items():
        table.add_row(name, paper.summary, figures(paper), measured.get(name, ""))
    return table
