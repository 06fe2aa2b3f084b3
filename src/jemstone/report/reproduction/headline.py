"""What a reproduction found, in a sentence and a few more."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from jemstone.experiments.flow_runs import FLOWS
from jemstone.experiments.reproduction.rows import ROWS
from jemstone.report.reproduction.matrix import PAPERS, best_cell, cell_told
from jemstone.report.reproduction.table import is_done
from jemstone.report.reproduction.words import mean_of, score

__all__ = ["Order", "findings", "headline", "orders"]

_VERDICTS = ("holds", "fails", "inconclusive")
_FOUR = {row.id for row in ROWS.values() if row.network not in FLOWS}


@dataclass(frozen=True)
class Order:
    """Rows in the order of a figure, the best first.

    Args:
        measured: their ids.
        printed: their ids, in the paper's order.
        agree: pairs that are the same way round in both.
        pairs: that there are.
    """

    measured: list[str]
    printed: list[str]
    agree: int
    pairs: int


def headline(result: Mapping[str, Any]) -> str:
    """Count the claims by their verdicts.

    >>> headline({"claims": [{"verdict": "holds"}, {"verdict": "inconclusive"}], "seeds": [0, 1]})
    'Of 2 claims of the paper, 1 holds, 0 fail and 1 is inconclusive, over 2 seeds.'
    >>> headline({"claims": [{"verdict": "inconclusive", "leans": True}], "seeds": [0]})
    'One seed gives no verdict: of 1 claim of the paper, 1 points its way and 0 do not.'

    Args:
        result: of a reproduction.
    """
    claims = result.get("claims") or ()
    if not claims:
        return "No claim was put to the test."
    count = Counter(claim["verdict"] for claim in claims)
    holds, fails, open_ = (count[name] for name in _VERDICTS)
    seeds = len(result.get("seeds") or ())
    counted = f"{len(claims)} {'claim' if len(claims) == 1 else 'claims'} of the paper"
    over = f"{seeds} {'seed' if seeds == 1 else 'seeds'}"
    if not (holds or fails):
        leans = Counter(claim.get("leans") for claim in claims)
        few = "One seed gives" if seeds == 1 else f"{over} give"
        return (
            f"{few} no verdict: of {counted}, {leans[True]} "
            f"{'points' if leans[True] == 1 else 'point'} its way and {leans[False]} "
            f"{'does' if leans[False] == 1 else 'do'} not."
        )
    return (
        f"Of {counted}, {holds} {'holds' if holds == 1 else 'hold'}, {fails} "
        f"{'fails' if fails == 1 else 'fail'} and {open_} {'is' if open_ == 1 else 'are'} "
        f"inconclusive, over {over}."
    )


def findings(result: Mapping[str, Any]) -> list[str]:
    """List what a reader should not miss: the best rows, cells outside the table, what is weak.

    Args:
        result: of a reproduction.
    """
    return list(_findings(result))


def _findings(result: Mapping[str, Any]) -> Iterator[str]:
    rows = [row for row in result["rows"] if is_done(row)]
    names = {row["id"]: row.get("model") or row["id"] for row in result["rows"]}
    for name, word, best in (("fid", "lowest FID", min), ("is", "highest IS", max)):
        found = {row["id"]: mean_of(row.get(name)) for row in rows}
        known = {key: value for key, value in found.items() if value is not None}
        if not known:
            continue
        winner = next(row for row in rows if row["id"] == best(known, key=lambda key: known[key]))
        printed = {
            row["id"]: row["paper"][name]
            for row in result["rows"]
            if (row.get("paper") or {}).get(name) is not None
        }
        papers = best(printed, key=lambda key: printed[key]) if printed else None
        beside = ""
        if papers is not None:
            beside = "; in the paper it is " + (
                "the same row's" if papers == winner["id"] else f"that of {names[papers]}"
            )
        yield (
            f"The {word} of the table is that of {names[winner['id']]}, "
            f"{score(winner[name])}{beside}."
        )
    for name, order in orders(result).items():
        sign, first = ("<", "lowest") if name == "fid" else (">", "highest")
        both = ([names[row] for row in rows] for rows in (order.measured, order.printed))
        ours, papers = (f" {sign} ".join(row) for row in both)
        yield (
            f"By {name.upper()}, the {first} first: {ours}; in the paper: {papers}. Of "
            f"{order.pairs} pairs {order.agree} are the same way round."
        )
    for name, word in (("fid", "lowest FID"), ("is", "highest IS")):
        cell = best_cell(result, name)
        if cell is not None and (cell["network"], cell["sampler"]) not in PAPERS:
            yield (
                f"The {word} of the matrix, {score(cell[name])}, is that of {cell_told(cell)}: a "
                "cell that the paper's table does not have."
            )
    init = next((r for r in result.get("references") or () if r["id"] == "init"), None)
    begun = mean_of(init.get("fid")) if init else None
    worse = [
        row.get("model") or row["id"]
        for row in rows
        if begun is not None and (mean_of(row.get("fid")) or 0.0) >= begun
    ]
    if worse:
        yield (
            f"By FID ({begun:.3g}), drawing from the class Gaussians alone does no worse than "
            f"{'; '.join(worse)}."
        )
    missing = [
        f"{row.get('model') or row['id']} ({row['status']})"
        for row in result["rows"]
        if not is_done(row)
    ]
    if missing:
        yield f"Rows without figures: {', '.join(missing)}."


def orders(result: Mapping[str, Any]) -> dict[str, Order]:
    """Put the paper's four in order by FID and IS, as printed and as measured, the best first.

    The four are JEM++, the robust classifier alone, and Robust JEM under its two samplers.

    Args:
        result: of a reproduction.

    Returns:
        By figure; without those that one of the four does not have.
    """
    four = [r for r in result["rows"] if r["id"] in _FOUR and is_done(r) and r.get("paper")]
    found = {}
    for name, sign in (("fid", 1), ("is", -1)):
        printed = {row["id"]: sign * row["paper"][name] for row in four}
        ours = {row["id"]: sign * m for row in four if (m := mean_of(row[name])) is not None}
        if ours.keys() != _FOUR:
            continue
        agree = [(printed[a] < printed[b]) == (ours[a] < ours[b]) for a, b in combinations(ours, 2)]
        mine, papers = (sorted(of, key=lambda row: of[row]) for of in (ours, printed))
        found[name] = Order(mine, papers, sum(agree), len(agree))
    return found
