"""What a reproduction found, in a sentence and a few more."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from jemstone.report.reproduction.matrix import PAPERS, best_cell, cell_told
from jemstone.report.reproduction.table import is_done
from jemstone.report.reproduction.words import mean_of, score

__all__ = ["findings", "headline"]

_VERDICTS = ("holds", "fails", "inconclusive")


def headline(result: Mapping[str, Any]) -> str:
    """Count the claims by their verdicts.

    >>> headline({"claims": [{"verdict": "holds"}, {"verdict": "inconclusive"}], "seeds": [0]})
    'Of 2 claims of the paper, 1 holds, 0 fail and 1 is inconclusive, over 1 seed.'

    Args:
        result: of a reproduction.
    """
    claims = result.get("claims") or ()
    if not claims:
        return "No claim was put to the test."
    count = Counter(claim["verdict"] for claim in claims)
    holds, fails, open_ = (count[name] for name in _VERDICTS)
    seeds = len(result.get("seeds") or ())
    return (
        f"Of {len(claims)} {'claim' if len(claims) == 1 else 'claims'} of the paper, {holds} "
        f"{'holds' if holds == 1 else 'hold'}, {fails} {'fails' if fails == 1 else 'fail'} and "
        f"{open_} {'is' if open_ == 1 else 'are'} inconclusive, over {seeds} "
        f"{'seed' if seeds == 1 else 'seeds'}."
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
