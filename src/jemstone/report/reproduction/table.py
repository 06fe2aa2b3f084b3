"""The paper's table, the measured figures beside the printed ones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from jemstone.report.reproduction.words import (
    ABSENT,
    NAMES,
    amount,
    features_told,
    mean_of,
    named,
    score,
)

__all__ = ["DONE", "SHARES", "footnotes", "is_done", "lines", "seeds_told", "table_markdown"]

DONE = "done"
_COLUMNS = {
    "recall": "recall",
    "coverage": "coverage",
    "agreement": "agreement, %",
    "nearest": "nearest",
    "accuracy": "accuracy, %",
    "robust_accuracy": "robust accuracy, %",
}
SHARES = ("agreement", "accuracy", "robust_accuracy")
_UNPRINTED = {"is": None, "fid": None}


def is_done(row: Mapping[str, Any]) -> bool:
    """Tell whether a row or a cell has figures."""
    return (row.get("status") or DONE) == DONE


def lines(result: Mapping[str, Any]) -> list[dict[str, Any]]:
    """List what the table has a line for: rows, their unconditional samples, references.

    Each line has a ``kind``, a ``label``, a ``status``, and its ``figures`` as measured.

    Args:
        result: of a reproduction.
    """
    return list(_lines(result))


def _lines(result: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for row in result["rows"]:
        status = row.get("status") or DONE
        yield {
            "kind": "row",
            "id": row["id"],
            "label": row.get("model") or row["id"],
            "status": status,
            "error": row.get("error"),
            "seeds": seeds_told(row, result.get("seeds") or ()),
            "paper": row.get("paper") or _UNPRINTED,
            "figures": row,
        }
        if row.get("unconditional"):
            yield {
                "kind": "unconditional",
                "id": f"{row['id']}-unconditional",
                "label": f"{row.get('model') or row['id']}, unconditional",
                "status": DONE,
                "error": None,
                "seeds": "",
                "paper": _UNPRINTED,
                "figures": row["unconditional"],
            }
    for row in result.get("references") or ():
        yield {
            "kind": "reference",
            "id": row["id"],
            "label": row.get("model") or row["id"],
            "status": DONE,
            "error": None,
            "seeds": "",
            "paper": _UNPRINTED,
            "figures": row,
        }


def seeds_told(row: Mapping[str, Any], asked: Sequence[int]) -> str:
    """Say over how many seeds a row's figures are.

    >>> seeds_told({"seeds": [0, 2]}, (0, 1, 2)), seeds_told({"seeds": [0, 1]}, (0, 1))
    ('2 of 3', '2')
    """
    done = len(row.get("seeds") or ())
    return f"{done} of {len(asked)}" if done < len(asked) else str(done)


def footnotes(result: Mapping[str, Any]) -> list[str]:
    """Say what the table's figures stand on, and what went wrong, sentence by sentence.

    Args:
        result: of a reproduction.
    """
    return list(_footnotes(result))


def _footnotes(result: Mapping[str, Any]) -> Iterator[str]:
    seeds = result.get("seeds") or ()
    counted = ", ".join(str(seed) for seed in seeds)
    yield (
        f"Measured on {result['data']}, {result.get('budget')} budget, "
        f"{'seed' if len(seeds) == 1 else 'seeds'} {counted or 'unknown'}: "
        + ("one seed, so no standard error" if len(seeds) == 1 else "mean ± standard error")
    )
    yield (
        f"{amount(result.get('samples'))} class-balanced samples a row, from scratch, beside "
        f"{amount(result.get('held_out'))} held-out images"
    )
    yield features_told(result)
    if judge := _judge_told(result.get("judge") or {}):
        yield f"The judge {judge}"
    if (best := mean_of(result.get("reference_is"))) is not None:
        yield f"The held-out images themselves have an IS of {best:.2f}"
    yield (
        "nearest: distance to the nearest training image, over that of held-out images (below 1: "
        "nearer than new images are)"
    )
    attacks = dict.fromkeys(
        row["robust_attack"] for row in result["rows"] if row.get("robust_attack")
    )
    if attacks:
        yield f"robust accuracy: under {'; '.join(attacks)}, in [0, 1] pixels"
    bits = [
        f"{row.get('model') or row['id']} {score(row['bits_per_dim'])}"
        for row in result["rows"]
        if row.get("bits_per_dim")
    ]
    if bits:
        yield f"Bits per dimension of held-out images: {', '.join(bits)}"
    for row in result["rows"]:
        model = row.get("model") or row["id"]
        if not is_done(row):
            yield f"{model} {row['status']}: {row.get('error') or 'no reason was recorded'}"
        for seed, why in (row.get("failed_seeds") or {}).items():
            if is_done(row):
                yield f"{model}, seed {seed}, is left out: {why}"
    for row in result.get("references") or ():
        for seed, why in (row.get("failed_seeds") or {}).items():
            yield f"{row.get('model') or row['id']}, seed {seed}, is left out: {why}"
    for network in result.get("networks") or ():
        name = named(NAMES, network["network"])
        for seed, why in (network.get("classification_failed") or {}).items():
            yield f"accuracy of {name}, seed {seed}, is left out: {why}"
        broken = [law for law, held in (network.get("laws") or {}).items() if not held]
        if broken:
            laws = ", ".join(law.replace("_", " ") for law in broken)
            yield f"robust accuracy of {name} is left out, since it is too high: it breaks {laws}"
    for network in result.get("gradients") or ():
        for seed, why in (network.get("failed_seeds") or {}).items():
            name = named(NAMES, network["network"])
            yield f"gradients of {name}, seed {seed}, are left out: {why}"


def _judge_told(judge: Mapping[str, Any]) -> str:
    parts = []
    if judge.get("accuracy") is not None:
        parts.append(f"is {judge['accuracy']:.1%} accurate")
    if judge.get("sha256"):
        parts.append(f"has the SHA-256 {judge['sha256'][:8]}")
    return " and ".join(parts)


def table_markdown(result: Mapping[str, Any]) -> str:
    """Write the table to paste into a paper: one line for each row, footnotes below.

    Args:
        result: of a reproduction, as ``table1.json`` has it.
    """
    heads = ["model", "IS, *paper*", "IS", "FID, *paper*", "FID", *_COLUMNS.values(), "seeds"]
    written = ["| " + " | ".join(heads) + " |", "|---|" + "---:|" * (len(heads) - 1)]
    for line in lines(result):
        figures, paper = line["figures"], line["paper"]
        cells = [line["label"]]
        for name in ("is", "fid"):
            cells.append(ABSENT if paper.get(name) is None else f"*{paper[name]:.2f}*")
            cells.append(score(figures.get(name)))
        cells += [
            score(figures.get(name), percent=name in SHARES).removesuffix(" %") for name in _COLUMNS
        ]
        if line["status"] != DONE:
            cells[2] = line["status"]
        written.append("| " + " | ".join(_cell(cell) for cell in [*cells, line["seeds"]]) + " |")
    notes = ". ".join(_plain(note) for note in footnotes(result))
    return "\n".join(written) + f"\n\n{notes}.\n"


def _plain(text: Any) -> str:
    """Keep words of others from being read as markup, on one line."""
    return " ".join(str(text).split()).replace("<", "&lt;")


def _cell(text: Any) -> str:
    return _plain(text).replace("|", "\\|")
