"""Train and judge recipes over seeds, and keep the figures with what made them.

    python benchmarks/recipes.py --data digits --seeds 0 1 2 --runs runs/digits \
        --out docs/results/digits.json

Runs that are there are not trained again, so an interrupted measurement goes on where it was.
"""

import argparse
import json
import statistics
import sys
from pathlib import Path

import torch
from state import command, commit

from jemstone.data import load, set_name
from jemstone.errors import Mistake
from jemstone.experiments import Run, begin, evaluate, judge_from
from jemstone.files import read_json, sha256_of, write_json
from jemstone.recipes import PAPERS, recipe_for
from jemstone.training import Diverged, RunFolder


def judged(name, seed, arguments):
    """Train and judge one run, unless it is there."""
    folder = Path(arguments.runs) / f"{name}-{arguments.budget}-{seed}"
    file = folder.with_suffix(".json")
    if not file.is_file():
        if arguments.collect:
            return None
        write_json(file, measured(name, seed, folder, arguments))
    kept = read_json(file)
    of = {"data": kept.get("data"), "samples": kept.get("samples")}
    asked = {"data": set_name(arguments.data), "samples": arguments.n}
    if arguments.judge:
        of["judge"] = kept.get("judge", {}).get("sha256")
        asked["judge"] = sha256_of(Path(arguments.judge))
    if "diverged" not in kept and of != asked:
        sys.exit(f"{file} is of other data, samples or judge: choose another --runs")
    return kept | {"seconds_per_step": pace(folder)}


def measured(name, seed, folder, arguments):
    """Train one run, or go on with it, and judge it."""
    data = load(arguments.data, arguments.data_root)
    if (folder / "recipe.yaml").is_file():
        run = Run.open(folder)
    else:
        recipe = recipe_for(name, data.name, arguments.budget)
        root = arguments.data_root
        run = begin(folder, recipe, data, seed=seed, source=arguments.data, root=root)
    print(folder, flush=True)
    try:
        run.train(data)
        judge = judge_from(Path(arguments.judge), data) if arguments.judge else None
        result = evaluate(run, data, count=arguments.n, judge=judge)
    except Diverged as diverged:
        result = {"recipe": name, "seed": seed, "diverged": str(diverged)}
    result["environment"] = run.environment
    result["commit"] = commit()
    return result


def pace(folder):
    """Return the median second that a step took; None for a run without metrics."""
    lines = RunFolder(folder).metrics()
    times = [line["seconds_per_step"] for line in lines if line.get("seconds_per_step")]
    return statistics.median(times) if times else None


def mean_and_deviation(values):
    """Summarise one figure over seeds."""
    deviation = statistics.stdev(values) if len(values) > 1 else None
    return {"mean": statistics.fmean(values), "std": deviation, "values": values}


def summary(results):
    """Collect each figure over the seeds that ended well."""
    well = [result for result in results if "diverged" not in result]
    if not well:
        return {}
    rows = {
        "accuracy": [r["accuracy"] for r in well],
        "ece": [r["calibration"]["ece"] for r in well],
    }
    for number, robust in enumerate(well[0]["robust_accuracy"]):
        key = f"{robust['attack']}, {robust['norm']} {robust['eps']:g}"
        rows[key] = [r["robust_accuracy"][number]["value"] for r in well]
    if well[0]["robust_accuracy"][0]["n"] != well[0]["n"]:
        rows["attacked"] = [r["robust_accuracy"][0]["n"] for r in well]
    drawn = [row for r in well for row in r["generation"]]
    for sampler in dict.fromkeys(row["sampler"] for row in drawn):
        own = [row for row in drawn if row["sampler"] == sampler]
        for figure in ("is", "fid", "kid", "precision", "recall", "coverage", "agreement"):
            rows[f"{sampler}: {figure}"] = [row[figure] for row in own]
        near = [row["nearest_neighbour"] for row in own]
        ratios = [n["pixel"] / n["pixel_held_out"] for n in near]
        rows[f"{sampler}: nearest / held-out"] = ratios
        rows[f"{sampler}: spread / data"] = [row["spread"]["pixel"] for row in own]
    return {name: mean_and_deviation(values) for name, values in rows.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default="digits")
    parser.add_argument("--data-root")
    parser.add_argument("--budget", default="small")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--recipes", nargs="+", default=list(PAPERS))
    parser.add_argument("--n", type=int, default=1000)
    parser.add_argument("--judge", help="FILE.safetensors; by default the data's")
    parser.add_argument("--collect", action="store_true", help="train nothing more")
    parser.add_argument("--runs", required=True)
    parser.add_argument("--out", required=True)
    arguments = parser.parse_args()
    if not arguments.collect:
        commit()
    recipes, everything = {}, []
    for name in arguments.recipes:
        results = [judged(name, seed, arguments) for seed in arguments.seeds]
        results = [result for result in results if result is not None]
        everything += results
        recipes[name] = {
            "seeds": [r["seed"] for r in results],
            "diverged": [r["seed"] for r in results if "diverged" in r],
            "steps": [r["step"] for r in results if "step" in r],
            "seconds_per_step": [r["seconds_per_step"] for r in results],
            "threads": [r["environment"]["threads"] for r in results],
            "figures": summary(results),
        }
    commits = sorted({r["commit"] for r in everything})
    if len(commits) != 1:
        sys.exit(f"runs of several commits do not make one table: {', '.join(commits)}")
    first = next(r for r in everything if "diverged" not in r)
    write_json(
        Path(arguments.out),
        {
            "command": command(),
            "commit": commits[0],
            "data": arguments.data,
            "budget": arguments.budget,
            "seeds": arguments.seeds,
            "samples": arguments.n,
            "held_out": first["n"],
            "origin": "from scratch, but for the row `chains`: from the buffer",
            "features": first["judge"]["name"],
            "judge_accuracy": first["judge"]["accuracy"],
            "judge_sha256": first["judge"].get("sha256"),
            "reference_is": first.get("reference", {}).get("is"),
            "trained_at": sorted({str(r["environment"].get("commit")) for r in everything}),
            "machine": {"torch": torch.__version__, **_run_on(first)},
            "recipes": recipes,
        },
    )
    print(json.dumps({name: len(r["figures"]) for name, r in recipes.items()}))


def _run_on(result):
    environment = result["environment"]
    kind = environment.get("processor", environment.get("machine"))  # older runs have the latter
    told = {key: environment[key] for key in ("threads", "device", "bf16")}
    return {"processor": kind, **told}


if __name__ == "__main__":
    try:
        main()
    except Mistake as mistake:
        sys.exit(f"{mistake}")
