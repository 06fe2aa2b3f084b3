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


def bench(results):
    """Lay out one line for each work and network: the plain baseline, and ours in its times."""
    heads = ("work", "network", "batch", "plain", "fp32", "bf16", "of the roofline")
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    for (work, network, norm, batch), rows in alike(results["rows"]).items():
        kind, _, about = work.partition(":")
        said = WORKS[kind].format(BESIDE.get(about, about))
        known = next((row for row in rows.values() if row["baseline_s"]), None)
        cells = [said, f"{network}, {norm}", str(batch)]
        cells += [seconds(known["baseline_s"]) if known else "-"]
        cells += [times(rows.get(precision)) for precision in ("fp32", "bf16")]
        shares = [row["roofline_share"] for row in rows.values() if row["roofline_share"]]
        cells.append(" / ".join(f"{100 * share:.0f} %" for share in shares) or "-")
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(
        [
            *lines,
            "",
            f"Times as fast as the plain baseline, medians of {results['rounds']} interleaved "
            f"rounds at most, {results['threads']} threads, torch {results['torch']}; shares of "
            "the roofline in fp32 / bf16. From [docs/results/bench.json](results/bench.json), "
            "where each row has its spread, and one that falls short its profile and a reason.",
        ]
    )


def headline(results):
    """Lay out what README says of speed: one network, one size, ours in times of the plain one."""
    wanted = ("iteration:jempp", "iteration:robust-jem", "sampling:energy", "sampling:combined")
    heads = ("WRN-16-4, batch 64", "norm", "plain", "ours", "times as fast", "in fp32")
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    for (work, network, norm, batch), rows in alike(results["rows"]).items():
        if (network, batch) != ("wrn-16-4", 64) or work not in (*wanted, "attack:foolbox"):
            continue
        kind, _, about = work.partition(":")
        fast = rows["bf16"]
        cells = [WORKS[kind].format(BESIDE.get(about, about)), norm]
        cells += [seconds(fast["baseline_s"]), seconds(fast["ours_s"])]
        lines.append("| " + " | ".join([*cells, times(fast), times(rows["fp32"])]) + " |")
    return "\n".join(
        [
            *lines,
            "",
            f"{results['threads']} threads of a processor with bf16 matrix units; the attack is "
            "raced against foolbox's. From [docs/results/bench.json](docs/results/bench.json); "
            "[docs/speed.md](docs/speed.md) has all rows.",
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


def times(row):
    return "-" if row is None or row["ratio"] is None else f"{row['ratio']:.2f}"


def seconds(number):
    return f"{number:.2f} s" if number >= 1 else f"{1e3 * number:.3g} ms"
