"""Lay out the paper's table and its claims, on every data set that they were measured on."""

import sys

from study_tables import sized, source

from jemstone.experiments.reproduction.claims import judge_claims
from jemstone.report.reproduction.headline import orders
from jemstone.report.reproduction.words import score

_SHORT = {
    "jempp": "JEM++",
    "robust-classifier": "robust classifier",
    "robust-jem-energy": "energy",
    "robust-jem-combined": "combined",
}
_DATA = ("cifar10", "mnist", "digits")


def paper(results):
    """Write README's two tables: rows beside the printed figures, claims with their verdicts.

    Args:
        results: by data set, each as ``table1.json`` has it.
    """
    shown = [results[name] for name in _DATA if name in results]
    return "\n\n".join((_rows(shown), _orders(shown), _claims(shown), _told(shown)))


def paired(result):
    """Write the claims whose differences seed by seed say more than Welch's interval does.

    They are judged anew from the values that are kept, and have to come to the same verdicts.

    Args:
        result: of a reproduction, as ``table1.json`` has it.
    """
    seeds = result["seeds"]
    values = {
        (cell["network"], cell["sampler"], name): dict(
            zip(cell["seeds"], of["values"], strict=True)
        )
        for cell in result["matrix"] + result["controls"]
        for name, of in cell.items()
        if isinstance(of, dict) and "values" in of
    }
    for what, rows in (("classification", result["networks"]), ("gradients", result["gradients"])):
        for row in rows:
            for name, of in row.items():
                if isinstance(of, dict) and len(of.get("values", ())) == len(seeds):
                    found = dict(zip(seeds, of["values"], strict=True))
                    values[row["network"], what, name] = found
    claims = judge_claims(lambda *asked: values.get(asked, {}), result["stability"])
    kept = [claim["verdict"] for claim in result["claims"]]
    if [claim["verdict"] for claim in claims] != kept:
        sys.exit(f"claims about {result['data']} are not what its values say")
    lines = ["| claim | difference | Welch's interval | seed by seed |", "|---|---|---|---|"]
    for claim in claims:
        welch, by_seed = claim["interval"], claim["paired"]
        if claim["verdict"] == "inconclusive" and by_seed and by_seed[0] * by_seed[1] > 0:
            intervals = (f"[{low:+.3g}, {high:+.3g}]" for low, high in (welch, by_seed))
            lines.append(f"| `{claim['id']}` | {' | '.join((claim['better'], *intervals))} |")
    return "\n".join([*lines, "", f"{sized(result)}. {source(result)}."])


def _rows(shown):
    heads = ["IS / FID", "*paper*, CIFAR-10", *(f"`{result['data']}`" for result in shown)]
    lines = ["| " + " | ".join(heads) + " |", "|---|" + "---:|" * (len(heads) - 1)]
    for row in shown[0]["rows"]:
        printed = row["paper"]
        cells = [row["model"], f"*{printed['is']:.2f} / {printed['fid']:.2f}*"]
        cells += [_pair(result["rows"], row["id"]) for result in shown]
        lines.append("| " + " | ".join(cells) + " |")
    for row in shown[0]["references"]:
        cells = [f"*{row['model']}*", "", *(_pair(r["references"], row["id"]) for r in shown)]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _pair(rows, name):
    """Write IS and FID of a row, or why there are none."""
    row = next(row for row in rows if row["id"] == name)
    if row.get("status", "done") != "done":
        return row["status"]
    return f"{score(row['is'])} / {score(row['fid'])}"


def _orders(shown):
    lines = ["| the four in order, best first | FID | IS |", "|---|---|---|"]
    known = [(result, order) for result in shown if (order := orders(result))]
    for _, order in known[:1]:
        cells = [f"*{_ordered(of.printed, name)}*" for name, of in order.items()]
        lines.append(f"| *paper*, CIFAR-10 | {' | '.join(cells)} |")
    for result, order in known:
        cells = [
            f"{_ordered(of.measured, name)} ({of.agree} of {of.pairs} pairs as in the paper)"
            for name, of in order.items()
        ]
        lines.append(f"| `{result['data']}` | {' | '.join(cells)} |")
    return "\n".join(lines)


def _ordered(rows, name):
    return (" < " if name == "fid" else " > ").join(_SHORT[row] for row in rows)


def _claims(shown):
    lines = [
        "| the paper's claim | *paper* | " + " | ".join(f"`{r['data']}`" for r in shown) + " |"
    ]
    lines.append("|" + "---|" * (2 + len(shown)))
    for claim in shown[0]["claims"]:
        cells = [claim["claim"], f"*{claim['paper']}*"]
        for result in shown:
            same = next(c for c in result["claims"] if c["id"] == claim["id"])
            cells.append(f"{_verdict(same)}: {same['measured']}")
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _verdict(claim):
    """Say a verdict; of one that is open, where its means point."""
    verdict = f"**{claim['verdict']}**"
    if claim["verdict"] != "inconclusive" or claim.get("leans") is None:
        return verdict
    return f"{verdict}, {'points' if claim['leans'] else 'does not point'} the paper's way"


def accurate(share):
    """Say how accurate a judge is; Inception has no accuracy here."""
    return "" if share is None else f"{100 * share:.1f} % accurate; "


def _told(shown):
    parts = [
        f"{sized(r)}, {r['samples']:,} samples a row "
        f"beside {r['held_out']:,} held-out images, features of `{r['features']}` "
        f"({accurate(r['judge']['accuracy'])}"
        f"[table1-{r['data']}.json](docs/results/table1-{r['data']}.json))"
        for r in shown
    ]
    return (
        "Measured here, class-balanced and from scratch, mean ± standard error: "
        f"{'; '.join(parts)}. FID is by those features, so it compares within a column, and with "
        "no paper's. A verdict takes three seeds and a 95 % interval on one side of zero; of fewer "
        "it is inconclusive whatever was measured."
    )
