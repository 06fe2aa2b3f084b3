"""The tables of speed, for benchmarks/tables.py: our own race, and that with the published code."""

WORKS = {
    "iteration": "training iteration of `{}`",
    "walk": "PYLD walk, {} statistics",
    "sampling": "sampling, `{}`",
    "attack": "PGD-20, beside {}",
    "init": "class-Gaussian draws",
    "data": "a batch, augmented",
    "features": "Fréchet distance",
}
BESIDE = {"plain": "the plain one", "foolbox": "foolbox", "eval": "running", "batch": "batch"}
OF_SAMPLERS = "A sampler's seconds are those of the whole batch, reckoned from a part of its steps."


def bench(results):
    """Lay out one line for each work and network: the plain baseline, and ours in its times."""
    heads = ("work", "network", "batch", "plain, fp32", "ours in fp32, times")
    heads += ("ours in bf16, times", "of the roofline")
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    for (work, network, norm, batch), rows in alike(results["rows"]).items():
        known = next((row for row in rows.values() if row["baseline_s"]), None)
        cells = [said(work), f"{network}, {norm}", str(batch), seconds(whole(known, "baseline"))]
        cells += [times(rows.get(precision)) for precision in ("fp32", "bf16")]
        shares = [row["roofline_share"] for row in rows.values() if row["roofline_share"]]
        cells.append(" / ".join(f"{100 * share:.0f} %" for share in shares) or "-")
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(
        [
            *lines,
            "",
            f"Times as fast as the plain baseline, medians of {rounds(results['rows'])}, "
            f"{results['threads']} threads, torch {results['torch']}; shares of the roofline in "
            f"fp32 / bf16. {OF_SAMPLERS} From [docs/results/bench.json](results/bench.json), where "
            "each row has its spread, and one that falls short its profile and a reason.",
        ]
    )


def headline(results):
    """Lay out what README says of speed: one network, one size, ours in times of the plain one."""
    wanted = ("iteration:jempp", "iteration:robust-jem", "sampling:energy", "sampling:combined")
    wanted += ("attack:foolbox",)
    shown = {
        key: rows
        for key, rows in alike(results["rows"]).items()
        if key[0] in wanted and (key[1], key[3]) == ("wrn-16-4", 64)
    }
    raced = [row for rows in shown.values() for row in rows.values()]
    lower = any(row["precision"] == "bf16" for row in raced)
    fast = "bf16" if lower else "fp32"
    heads = ("WRN-16-4, batch 64", "norm", "plain, fp32", f"ours, {fast}", "times as fast")
    heads += ("ours in fp32, times",) * lower
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    for (work, _, norm, _), rows in shown.items():
        row = rows.get(fast)
        cells = [said(work), norm, *(seconds(whole(row, side)) for side in ("baseline", "ours"))]
        cells += [times(row), *[times(rows.get("fp32"))] * lower]
        lines.append("| " + " | ".join(cells) + " |")
    units = " of a processor with bf16 instructions" * (lower and results["device"] == "cpu")
    return "\n".join(
        [
            *lines,
            "",
            f"{results['threads']} threads{units}, medians of {rounds(raced)}; the attack is raced "
            f"against foolbox's. {OF_SAMPLERS} From "
            "[docs/results/bench.json](docs/results/bench.json); [docs/speed.md](docs/speed.md) "
            "has all rows.",
        ]
    )


def published(results):
    """Lay out the published code beside the plain baseline."""
    lines = ["| network | norm | published | plain | times as fast |", "|---|---|---|---|---|"]
    for row in results["rows"]:
        cells = [row["network"], row["norm"], seconds(row["published_s"]), seconds(row["plain_s"])]
        lines.append("| " + " | ".join([*cells, f"{row['ratio']:.2f}"]) + " |")
    code = results["published"]
    return "\n".join(
        [
            *lines,
            "",
            f"One iteration of JEM++, batch {results['rows'][0]['batch']}, by "
            f"[the published code]({code['code']}) at `{code['commit'][:7]}` and by the plain "
            f"baseline; medians of {results['rounds']} interleaved rounds, "
            f"{results['machine']['threads']} threads. From "
            "[docs/results/published.json](results/published.json).",
        ]
    )


def alike(rows):
    """Gather the rows of one work by precision."""
    gathered = {}
    for row in rows:
        key = (row["work"], row["network"], row["norm"], row["batch"])
        gathered.setdefault(key, {})[row["precision"]] = row
    return gathered


def said(work):
    """Say what one call of a work is."""
    kind, _, about = work.partition(":")
    return WORKS[kind].format(BESIDE.get(about, about))


def whole(row, side):
    """Return the seconds of a call; of a sampler, timed in part, those of all its steps."""
    if row is None:
        return None
    rate = row.get(f"{side}_images_per_s")
    return row["batch"] / rate if rate else row[f"{side}_s"]


def rounds(rows):
    """Say over how many rounds rows were raced."""
    found = {row["rounds"] for row in rows if row.get("rounds")} or {0}
    least, most = min(found), max(found)
    several = f"{least} to {most}" if least < most else str(most)
    return f"{several} interleaved round{'s' * (most != 1)}"


def times(row):
    return "-" if row is None or row["ratio"] is None else f"{row['ratio']:.2f}"


def seconds(number):
    if number is None:
        return "-"
    return f"{number:.2f} s" if number >= 1 else f"{1e3 * number:.3g} ms"
