"""Lay out the studies of a reproduction: ablations, walks, stability; and the attack's radius."""

import inspect
import shlex

from jemstone.experiments.ablations import train_ablations
from jemstone.report.reproduction.words import amount, score

_JUDGED = (
    *("accuracy", "robust accuracy"),
    *("IS / FID, energy", "agreement, energy", "recall, energy", "IS / FID, combined"),
)
_SAMPLED = ("is", "fid", "agreement", "recall")
WALKS = {
    "energy-steps": "Robust JEM, energy",
    "combined-steps": "Robust JEM, combined",
    "jempp-energy-steps": "JEM++, energy",
}


def ablations(result):
    """Write what a data set's ablations found, a line a question."""
    if not result["ablations"]:
        return unmeasured(result)
    lines = [
        "| question | setting | default | measured would choose | why |",
        "|---|---|---|---|---|",
    ]
    for answer in result["ablations"]:
        cells = (answer["id"], f"`{answer['field']}`", answer["default"], answer["chosen"])
        lines.append("| " + " | ".join(map(str, (*cells, answer["why"]))) + " |")
    return "\n".join([*lines, "", f"{sized(result)}{training(result)}. {source(result)}."])


def training(result):
    """Say of how much training those questions are that train: they come last."""
    last = sum("accuracy" in answer["rows"][0] for answer in result["ablations"])
    words = shlex.split(result["command"].replace("--steps=", "--steps "))
    steps = inspect.signature(train_ablations).parameters["steps"].default
    if "--steps" in words:
        steps = words[words.index("--steps") + 1]
    return f"; the last {last} train {steps} steps of the first seed alone" if last else ""


def walks(result):
    """Write the quality of a data set's walks against their passes."""
    if not result["ablations"]:
        return unmeasured(result)
    lines = [
        "| sampler | passes | IS | FID | recall | nearest | seconds an image |",
        "|" + "---|" * 7,
    ]
    for answer in result["ablations"]:
        for row in answer["rows"] if answer["id"] in WALKS else ():
            cells = [WALKS[answer["id"]], row["value"]]
            cells += [over_runs(row, name) for name in ("is", "fid", "recall", "nearest")]
            cells.append(amount(row["seconds_per_image"]))
            lines.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join([*lines, "", f"{sized(result)}. {source(result)}."])


def over_runs(row, name):
    """Write the mean of a figure over the runs, with its standard error where there are several."""
    return score({"mean": row[name], "se": row.get("se", {}).get(name)})


def stability(result):
    """Write how many short runs failed, by recipe and learning rate."""
    study = result["stability"]
    if not study:
        return unmeasured(result)
    found = study["recipes"]
    rates = list(next(iter(found.values()))["by_learning_rate"])
    heads = ["recipe", "all", *(f"rate {rate}" for rate in rates)]
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    for name, counted in found.items():
        cells = [f"`{name}`", *map(failed, (counted, *counted["by_learning_rate"].values()))]
        lines.append("| " + " | ".join(cells) + " |")
    told = (
        f"Runs that failed, of {study['steps']} steps each, {len(study['seeds'])} seeds at each "
        "rate, with Wilson's 95 % interval of their share"
    )
    return "\n".join([*lines, "", f"{told}. {source(result)}."])


def failed(counted):
    low, high = counted["interval"]
    return f"{counted['failed']} of {counted['n']} [{100 * low:.0f}, {100 * high:.0f} %]"


def unmeasured(result):
    return f"`{result['data']}`: not measured. {source(result)}."


def sized(result):
    count = len(result["seeds"])
    seeds = "one seed" if count == 1 else f"{count} seeds"
    networks = {network["network"]: network["runs"] for network in result.get("networks", ())}
    steps = "".join(f" of {run['steps']:,} steps" for run in networks.get("robust-jem", ())[:1])
    return f"`{result['data']}`, budget `{result['budget']}`{steps}, {seeds}"


def source(result):
    name = f"table1-{result['data']}.json"
    return f"From [docs/results/{name}](results/{name})"


def radius(results):
    """Write what the radius of the training attack does to classifier and samples."""
    heads = ("radius", "steps", *_JUDGED)
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    for row in sorted(results["rows"].values(), key=lambda row: (row["steps"], row["radius"])):
        cells = [f"{row['radius']:g}" if row["radius"] else "0, JEM++", f"{row['steps']:,}"]
        if "diverged" in row:
            cells += ["diverged"] * (len(heads) - len(cells))
        else:
            cells += judged(row)
        lines.append("| " + " | ".join(cells) + " |")
    told = (
        f"`{results['data']}`, one seed, {results['samples']:,} samples from scratch, "
        f"{results['held_out']:,} held-out images, robust accuracy under {results['attack']}; "
        f"features of `{results['features']}`. From "
        f"[docs/results/{results['data']}-radius.json](results/{results['data']}-radius.json)."
    )
    return "\n".join([*lines, "", told])


def longer(short, long):
    """Write what more steps of training do to the two energy models.

    Args:
        short: a reproduction's table.
        long: what `benchmarks/recipes.py` measured of the longer training.
    """
    heads = ("network", "steps", *_JUDGED)
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    for name, model in (("jempp", "JEM++"), ("robust-jem", "Robust JEM")):
        for row in (_reproduced(short, name), _measured(long, name)):
            cells = [model, f"{row['steps']:,}", *judged(row)]
            lines.append("| " + " | ".join(cells) + " |")
    data, passes = short["data"], short["rows"][2]["cost"]["passes_per_image"]
    told = (
        f"`{data}`, one seed, {short['samples']:,} samples from scratch after walks of "
        f"{passes:.0f} passes, {short['held_out']:,} held-out "
        f"images, robust accuracy under {short['networks'][0]['robust_attack']}, 1,000 of them; "
        f"features of `{short['features']}`. From [table1-{data}.json](results/table1-{data}.json) "
        f"and [{data}.json](results/{data}.json)."
    )
    return "\n".join([*lines, "", told])


def _reproduced(table, name):
    """Return a network's figures from a reproduction's table."""
    (network,) = (of for of in table["networks"] if of["network"] == name)
    cells = {of["sampler"]: of for of in table["matrix"] if of["network"] == name}
    figures = {key: network[key]["mean"] for key in ("accuracy", "robust_accuracy")}
    for sampler in ("energy", "combined"):
        figures[sampler] = {key: cells[sampler][key]["mean"] for key in _SAMPLED}
    return {"steps": network["runs"][0]["steps"], **figures}


def _measured(results, name):
    """Return a network's figures from those of recipes, at the widest radius."""
    recipe = results["recipes"][name]
    row = {key: figure["mean"] for key, figure in recipe["figures"].items()}
    attacked = [value for key, value in row.items() if key.startswith("PGD")]
    figures = {"accuracy": row["accuracy"], "robust_accuracy": attacked[-1]}
    for sampler in ("energy", "combined"):
        figures[sampler] = {key: row[f"{sampler}: {key}"] for key in _SAMPLED}
    return {"steps": recipe["steps"][0], **figures}


def judged(row):
    """Write what is told of a network under the heads ``_JUDGED``."""
    energy = row["energy"]
    return [
        *(score(row[name], percent=True) for name in ("accuracy", "robust_accuracy")),
        pair(energy),
        score(energy["agreement"], percent=True),
        score(energy["recall"]),
        pair(row["combined"]),
    ]


def pair(figures):
    """Write IS and FID of samples, or that there are none."""
    if figures["fid"] is None:
        return "exploded"
    return f"{score(figures['is'])} / {score(figures['fid'])}"
