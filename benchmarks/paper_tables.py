"""Lay out the paper's table and its claims, on every data set that they were measured on."""

from jemstone.report.reproduction.words import mean_of, score

_DATA = ("cifar10", "mnist", "digits")
_WALKS = {
    "energy-steps": "Robust JEM, energy",
    "combined-steps": "Robust JEM, combined",
    "jempp-energy-steps": "JEM++, energy",
}


def paper(results):
    """Write README's two tables: rows beside the printed figures, claims with their verdicts.

    Args:
        results: by data set, each as ``table1.json`` has it.
    """
    shown = [results[name] for name in _DATA if name in results]
    return f"{_rows(shown)}\n\n{_claims(shown)}\n\n{_told(shown)}"


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
    # Held-out images beside themselves differ by rounding alone.
    fid = row["fid"] if abs(mean_of(row["fid"])) > 1e-6 else {"mean": 0, "se": None}
    return f"{score(row['is'])} / {score(fid)}"


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


def _told(shown):
    parts = [
        f"`{r['data']}`, budget `{r['budget']}`, {_seeds(r)}, {r['samples']:,} samples a row "
        f"beside {r['held_out']:,} held-out images, features of `{r['features']}` "
        f"({100 * r['judge']['accuracy']:.1f} % accurate; "
        f"[table1-{r['data']}.json](docs/results/table1-{r['data']}.json))"
        for r in shown
    ]
    return (
        "Measured here, class-balanced and from scratch, mean ± standard error: "
        f"{'; '.join(parts)}. FID is by those features, so it compares within a column, and with "
        "no paper's. A verdict takes three seeds and a 95 % interval on one side of zero; of fewer "
        "it is inconclusive whatever was measured."
    )


def _seeds(result):
    count = len(result["seeds"])
    return "one seed" if count == 1 else f"{count} seeds"


def ablations(result):
    """Write what a data set's ablations found, a line a question."""
    lines = [
        "| question | setting | default | measured would choose | why |",
        "|---|---|---|---|---|",
    ]
    for answer in result["ablations"]:
        cells = (answer["id"], f"`{answer['field']}`", answer["default"], answer["chosen"])
        lines.append("| " + " | ".join(map(str, (*cells, answer["why"]))) + " |")
    return "\n".join([*lines, "", f"{_where(result)}."])


def walks(result):
    """Write the quality of a data set's walks against their passes."""
    lines = [
        "| sampler | passes | IS | FID | recall | nearest | seconds an image |",
        "|" + "---|" * 7,
    ]
    for answer in result["ablations"]:
        if answer["id"] in _WALKS:
            for row in answer["rows"]:
                cells = [_WALKS[answer["id"]], row["value"]]
                cells += [score(row[name]) for name in ("is", "fid", "recall", "nearest")]
                cells.append(f"{row['seconds_per_image']:.3g}")
                lines.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join([*lines, "", f"{_where(result)}."])


def radius(results):
    """Write what the radius of the training attack does to classifier and samples."""
    heads = ("radius", "steps", "accuracy", "robust accuracy", "IS / FID energy", "agreement")
    heads += ("recall", "IS / FID combined")
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    for row in results["rows"].values():
        energy, combined = row["energy"], row["combined"]
        cells = [f"{row['radius']:g}" if row["radius"] else "0, JEM++", f"{row['steps']:,}"]
        cells += [f"{100 * row[name]:.1f} %" for name in ("accuracy", "robust_accuracy")]
        cells += [f"{energy['is']:.2f} / {energy['fid']:.2f}", f"{100 * energy['agreement']:.0f} %"]
        cells += [f"{energy['recall']:.2f}", f"{combined['is']:.2f} / {combined['fid']:.2f}"]
        lines.append("| " + " | ".join(cells) + " |")
    told = (
        f"`{results['data']}`, one seed, {results['samples']:,} samples from scratch, "
        f"{results['held_out']:,} held-out images, robust accuracy under {results['attack']}; "
        f"features of `{results['features']}`. From "
        f"[docs/results/{results['data']}-radius.json](results/{results['data']}-radius.json)."
    )
    return "\n".join([*lines, "", told])


def stability(result):
    """Write how many short runs failed, by recipe and learning rate."""
    found = result["stability"]["recipes"]
    rates = list(next(iter(found.values()))["by_learning_rate"])
    heads = ["recipe", "all", *(f"rate {rate}" for rate in rates)]
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    for name, counted in found.items():
        cells = [f"`{name}`", *map(_failed, (counted, *counted["by_learning_rate"].values()))]
        lines.append("| " + " | ".join(cells) + " |")
    study = result["stability"]
    told = (
        f"Runs that failed, of {study['steps']} steps each, {len(study['seeds'])} seeds at each "
        "rate, with Wilson's 95 % interval of their share"
    )
    return "\n".join([*lines, "", f"{told}. {_source(result)}."])


def _failed(counted):
    low, high = counted["interval"]
    return f"{counted['failed']} of {counted['n']} [{100 * low:.0f}, {100 * high:.0f} %]"


def _where(result):
    sized = f"`{result['data']}`, budget `{result['budget']}`, {_seeds(result)}"
    return f"{sized}. {_source(result)}"


def _source(result):
    name = f"table1-{result['data']}.json"
    return f"From [docs/results/{name}](results/{name})"
