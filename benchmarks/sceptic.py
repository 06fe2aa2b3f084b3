"""Lay out what `jemstone evaluate --suite full` found, one column for each data set.

The figures are those of docs/results/suite-DATA.json, which the command itself writes:

    jemstone evaluate RUN --suite full --baseline PLAIN --out docs/results/suite-digits.json
"""

import json

ORDER = ("digits", "mnist", "cifar10")
ATTACKS = ("PGD", "Square", "AutoAttack")
SAMPLERS = ("init", "energy", "combined", "attack")
FLAGS = {
    "memorised": "memorised",
    "not_diverse": "not diverse",
    "is_the_init": "hardly more than the init",
    "no_better_than_the_init": "no better than the init",
}


def read(folder):
    """Read the suites that were measured."""
    files = [folder / f"suite-{data}.json" for data in ORDER]
    return [json.loads(file.read_text()) for file in files if file.is_file()]


def sceptic(suites):
    """Lay out one line for each figure."""
    lines = {}
    for column, suite in enumerate(suites):
        for name, cell in cells(suite):
            lines.setdefault(name, ["-"] * len(suites))[column] = cell
    # What only one data set has stands with its like.
    kinds = list(dict.fromkeys(kind for kind, _ in lines))
    names = sorted(lines, key=lambda name: kinds.index(name[0]))
    rows = [["", *(f"`{suite['data']}`" for suite in suites)]]
    rows += [[" ".join(name).strip(), *lines[name]] for name in names]
    text = ["| " + " | ".join(row) + " |" for row in rows]
    text.insert(1, "|" + "---|" * len(rows[0]))
    return "\n".join([*text, "", foot(suites)])


def cells(suite):
    """Yield each figure's kind and name, and what it says."""
    yield ("accuracy", ""), share(suite["accuracy"], suite["accuracy_interval"])
    yield from robustness(suite["robust_accuracy"])
    for row in suite["purification"]:
        walked, alone = (share(r["value"], r["interval"]) for r in (row, row["plain"]))
        cell = f"{walked}, without the walk {alone}; {row['eps']:.3g}, {row['n']} images"
        yield ("walking before classifying,", "EOT + BPDA"), cell
    scaling = suite["calibration"]["temperature_scaling"]
    errors = " → ".join(f"{scaling[when]['ece']:.3f}" for when in ("before", "after"))
    cell = f"{errors} (T = {scaling['temperature']:.2f})"
    yield ("ECE", "before → after a temperature"), cell
    yield from detection(suite["ood"])
    for row in suite["generation"]:
        if row["sampler"] in SAMPLERS:
            yield ("samples:", f"`{row['sampler']}`"), sampled(row)
    for walk in suite["walks"]:
        after = walk["after"]
        ratio = "" if after["fid_ratio"] is None else f", FID x {after['fid_ratio']:.2g}"
        cell = f"{after['verdict']} ({after['steps']} steps{ratio})"
        yield ("walk ten times longer:", f"`{walk['sampler']}`"), cell


def robustness(rows):
    """Yield what PGD on its better loss, Square and AutoAttack left, and the laws."""
    most = max(row["n"] for row in rows)
    strong = {(r["norm"], r["eps"]) for r in rows if r["attack"].startswith(ATTACKS[1:])}
    for norm in dict.fromkeys(row["norm"] for row in rows):
        for attack in ATTACKS:
            found = {}
            for row in rows:
                if row["attack"].startswith(attack) and row["norm"] == norm:
                    found.setdefault(row["eps"], []).append(row)
            met = [of for eps, of in sorted(found.items()) if (norm, eps) in strong]
            least = [min(of, key=lambda r: r["value"]) for of in met]
            said = [
                f"{share(r['value'], r['interval'])} at {r['eps']:.3g}"
                + f" ({r['n']} images)" * (r["n"] != most)
                for r in least
            ]
            if least:
                name, _, loss = least[0]["attack"].partition(" (")
                name += ", the better of two losses" if loss else ""
                yield ("robust accuracy,", f"{norm}, {name}"), "; ".join(said)
    verdicts = [verdict for row in rows for verdict in row["laws"].items()]
    broken = [name.replace("_", " ") for name, law in verdicts if not law["passed"]]
    said = f"{len(broken)}: {', '.join(sorted(set(broken)))}" if broken else "none"
    yield ("laws broken", ""), f"{said}, of {len(verdicts)} verdicts"


def detection(rows):
    """Yield the AUROC of the best score, and of the plain classifier's best, by set."""
    for data in dict.fromkeys(row["data"] for row in rows):
        said = []
        for attacked in (False, True):
            here = [r for r in rows if r["data"] == data and (r["attack"] is not None) == attacked]
            if here:
                best = max(here, key=lambda r: r["auroc"])
                plain = [r["baseline_auroc"] for r in here if r["baseline_auroc"] is not None]
                beside = f" / {max(plain):.2f}" if plain else ""
                cell = f"{best['auroc']:.2f}{beside}"
                score = best["score"].replace("|", "\\|")  # which would end a cell
                said.append(f"attacked {cell}" if attacked else f"{cell} by {score}")
        yield ("unknown:", data), "; ".join(said)


def sampled(row):
    """Say a sampler's figures, and which flags are raised."""
    low, high = row["intervals"]["fid"]
    figures = f"{row['fid']:.2f} [{low:.2f}, {high:.2f}] / {row['recall']:.2f} / "
    figures += f"{row['coverage']:.2f} / {row['vendi'] / row['vendi_held_out']:.2f}"
    raised = [FLAGS[name] for name, flag in row["flags"].items() if flag["raised"]]
    own = row["sampler"] == "init"  # which is what it is
    return figures if own or not raised else f"{figures}; **{', '.join(raised)}**"


def share(value, interval):
    low, high = interval
    return f"{100 * value:.1f} % [{100 * low:.1f}, {100 * high:.1f}]"


def foot(suites):
    """Say what the figures are of."""
    runs = [
        f"`{s['data']}`: `{s['recipe']}`, budget `{s['budget']}`, {s['step']:,} steps, "
        f"seed {s['seed']}, {s['held_out']:,} held-out images, "
        f"{max(r['n'] for r in s['robust_accuracy']):,} of them attacked, "
        f"{s['samples']:,} samples of {s['walks'][0]['walk']['steps']} passes, "
        f"judge `{s['judge']['name']}` "
        f"([suite-{s['data']}.json](docs/results/suite-{s['data']}.json))"
        for s in suites
    ]
    return (
        "Measured here. " + "; ".join(runs) + ". Brackets are 95 % intervals; `unknown` is the "
        "AUROC of the best of five scores / of the plain classifier's best, each chosen on these "
        "very images, attacked in an Linf ball where it says so; samples are FID / recall / "
        "coverage / Vendi score over real images', from scratch, and in bold which flags are "
        "raised."
    )
