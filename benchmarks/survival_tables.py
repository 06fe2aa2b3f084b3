"""The tables of what runs survive, and how they scale, for benchmarks/tables.py."""


def guard(results):
    """Lay out how many runs end well with the guard and without."""
    heads = ("norm", "learning rate", "plain", "guard")
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    plain, guarded = results["summary"]["none"], results["summary"]["guard"]
    for name in sorted(plain, key=lambda name: (name.startswith("all"), name)):
        norm, _, rate = name.removeprefix("norm ").partition(", learning rate ")
        counts = [f"{row[name]['well']} of {row[name]['of']}" for row in (plain, guarded)]
        if name.startswith("all"):
            norm, rate = f"**{name}**", ""
            counts = [
                "{} ({:.0%} to {:.0%})".format(count, *row[name]["ci95"])
                for count, row in zip(counts, (plain, guarded), strict=True)
            ]
        lines.append("| " + " | ".join([norm, rate, *counts]) + " |")
    same = results["unchanged"]
    lines += [
        "",
        f"Runs that end well: {results['ends well']} of {results['held_out']} held-out images, "
        f"after {results['changed']['optimisation.steps']} steps; {len(results['seeds'])} seeds at "
        "rates that fail, and Wilson's 95 % interval. "
        f"Of {same['runs the guard left alone']} runs that the guard left alone, "
        f"{same['identical bit for bit']} are identical bit for bit to those without it. From "
        "[docs/results/guard.json](results/guard.json).",
    ]
    return "\n".join(lines)


def survival(results):
    """Lay out what was survived, and how often."""
    heads = ("what", "asked", "survived", "failed")
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    for row in results["rows"]:
        cells = [row["what"], f"{row['asked']:,}", f"{row['held']:,}", str(row["failed"])]
        lines.append("| " + " | ".join(cells) + " |")
    source = "From [docs/results/survival.json](results/survival.json)."
    return "\n".join(
        [*lines, "", f"*asked* and *survived* count cases, *failed* counts tests. {source}"]
    )


def scaling(results):
    """Lay out how much faster two processes are."""
    heads = ("recipe", "data", "joint batch", "one process", "two", "times as fast")
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    for row in results["rows"]:
        cells = [f"`{row['recipe']}`", row["data"], str(row["batch"])]
        cells += [f"{row[name]:.3f} s" for name in ("wall_one_s", "wall_many_s")]
        lines.append("| " + " | ".join([*cells, f"{row['wall_ratio']:.2f}"]) + " |")
    lines += [
        "",
        f"Seconds per step, medians of {results['rounds']} interleaved rounds of "
        f"{results['steps']} steps, processes of one thread on {results['machine']['cores']} "
        "cores, float32. From [docs/results/scaling.json](results/scaling.json).",
    ]
    return "\n".join(lines)
