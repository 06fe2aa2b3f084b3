"""What a reproduction found, in a sentence and a few more."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import combinations
from typing import Any

from jemstone.experiments.flow_runs import FLOWS
from jemstone.report.reproduction.matrix import PAPERS, best_cell, cell_told
from jemstone.report.reproduction.table import is_done
from jemstone.report.reproduction.words import mean_of, score

__all__ = ["findings", "headline", "orders"]

_VERDICTS = ("holds", "fails", "inconclusive")
_LEAST_SEEDS = 3  # for a verdict
_FOUR = 4  # rows that are no flows
_ORDERS = {"fid": ("FID, the lowest first", 1), "is": ("IS, the highest first", -1)}


def headline(result: Mapping[str, Any]) -> str:
    """Count the claims by their verdicts.

    >>> claims = [{"verdict": "holds", "leans": True}, {"verdict": "inconclusive"}]
    >>> headline({"claims": claims, "seeds": [0, 1, 2]})
    'Of 2 claims of the paper, 1 holds, 0 fail and 1 is inconclusive, over 3 seeds.'
    >>> headline({"claims": claims, "seeds": [0]})
    'One seed gives no verdict: of 2 claims of the paper, 1 point its way and 0 do not.'

    Args:
        result: of a reproduction.
    """
    claims = result.get("claims") or ()
    if not claims:
        return "No claim was put to the test."
    count = Counter(claim["verdict"] for claim in claims)
    holds, fails, open_ = (count[name] for name in _VERDICTS)
    seeds = len(result.get("seeds") or ())
    if seeds < _LEAST_SEEDS:
        leans = [claim.get("leans") for claim in claims]
        return (
            f"{'One seed gives' if seeds == 1 else f'{seeds} seeds give'} no verdict: of "
            f"{len(claims)} claims of the paper, {leans.count(True)} point its way and "
            f"{leans.count(False)} do not."
        )
    return (
        f"Of {len(claims)} {'claim' if len(claims) == 1 else 'claims'} of the paper, {holds} "
        f"{'holds' if holds == 1 else 'hold'}, {fails} {'fails' if fails == 1 else 'fail'} and "
        f"{open_} {'is' if open_ == 1 else 'are'} inconclusive, over {seeds} seeds."
    )


def findings(result: Mapping[str, Any]) -> list[str]:
    """List what a reader should not miss: the best rows, cells outside the table, what is weak.

    Args:
        result: of a reproduction.
    """
    return list(_findings(result))


def _findings(result: Mapping[str, Any]) -> Iterator[str]:
    rows = [row for row in result["rows"] if is_done(row)]
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
        names = {row["id"]: row.get("model") or row["id"] for row in result["rows"]}
        beside = ""
        if papers is not None:
            beside = "; in the paper it is " + (
                "the same row's" if papers == winner["id"] else f"that of {names[papers]}"
            )
        yield (
            f"The {word} of the table is that of {names[winner['id']]}, "
            f"{score(winner[name])}{beside}."
        )
    yield from orders(result)
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


def orders(result: Mapping[str, Any]) -> list[str]:
    """Say in which order the paper's four have FID and IS, printed and measured.

    The four are JEM++, the robust classifier alone, and Robust JEM under its two samplers. Two
    orders agree in as many of the six pairs as are the same way round in both.

    Args:
        result: of a reproduction.

    Returns:
        A sentence for each figure; none where one of the four has no figures.
    """
    four = [r for r in result["rows"] if r["id"] not in FLOWS and is_done(r) and r.get("paper")]
    if len(four) < _FOUR:
        return []
    told, pairs = [], list(combinations([row["model"] for row in four], 2))
    for name, (word, sign) in _ORDERS.items():
        printed = {row["model"]: sign * row["paper"][name] for row in four}
        found = {row["model"]: sign * (mean_of(row[name]) or 0.0) for row in four}
        agree = sum((printed[a] < printed[b]) == (found[a] < found[b]) for a, b in pairs)
        ours, paper = (", ".join(sorted(of, key=lambda row: of[row])) for of in (found, printed))
        told.append(
            f"In the order of {word}: {ours}; in the paper: {paper}. Of {len(pairs)} pairs {agree} "
            "are the same way round."
        )
    return told
