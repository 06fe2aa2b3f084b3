"""Train at learning rates where plain JEM++ fails, with the guard and without.

    python benchmarks/guard.py --runs runs/guard --out docs/results/guard.json

A run ends well where it comes to its last step with finite numbers within the limits, and its
weights then classify more than 80 % of the held-out digits. At a rate where nothing fails the
guard must change nothing: its weights and chains are compared bit for bit.

Runs that are there are not trained again, so an interrupted measurement goes on where it was.
"""

import argparse
import hashlib
import shutil
import sys
import time
from pathlib import Path

import torch
from state import command, commit

from jemstone.data import load
from jemstone.experiments import begin
from jemstone.files import read_json, write_json
from jemstone.functional.confidence import wilson_interval
from jemstone.metrics import agreement, predictions
from jemstone.recipes import changed, recipe_for
from jemstone.training import Device, Diverged, RunFolder, processor

LEAST_ACCURACY = 0.8
RETRIES = {"none": 0, "guard": 4}
SMALL = {
    "network.width": 1,
    "optimisation.batch_size": 32,
    "optimisation.warmup": 20,
    "optimisation.schedule": "constant",
    "optimisation.clip_norm": None,  # JEM++ has none, and the budgets' clip hides what fails
    "chains.size": 500,
}
# By norm. Found on seeds 100 and 101, where plain JEM++ diverges at all of the failing ones.
FAILING = {"none": (0.2, 0.3, 0.5), "batch": (2.0,)}
SANE = {"none": (0.05,), "batch": (0.1,)}
TENSORS = ("model.safetensors", "training.safetensors", "chains-0.safetensors")


def measured(norm, rate, seed, arm, arguments, data, state):
    """Train one run and say how it ended."""
    folder = Path(arguments.runs) / f"{norm}-{rate:g}-{seed}-{arm}"
    file = folder.with_name(f"{folder.name}.json")
    if file.is_file():
        result = read_json(file)
        if (result["commit"], result.get("steps")) != (state, arguments.steps):
            sys.exit(f"{file} is of another state of the code, or length: choose other --runs")
        return result
    fields = SMALL | {
        "network.norm": norm,
        "walk.mode": "batch" if norm == "batch" else "eval",
        "optimisation.learning_rate": rate,
        "optimisation.steps": arguments.steps,
        "guard.retries": RETRIES[arm],
    }
    shutil.rmtree(folder, ignore_errors=True)
    recipe = changed(recipe_for("jempp", "digits", "quick"), fields)
    run = begin(folder, recipe, data, seed=seed, device=Device())
    began, diverged, accuracy = time.perf_counter(), None, None
    try:
        run.train(data)
        accuracy = agreement(predictions(run.model(), data.test), data.test.labels)
    except Diverged as told:
        diverged = str(told)
    events = list(RunFolder(folder).events())
    result = {
        "commit": state,
        "norm": norm,
        "learning_rate": rate,
        "steps": arguments.steps,
        "seed": seed,
        "arm": arm,
        "well": accuracy is not None and accuracy > LEAST_ACCURACY,
        "accuracy": accuracy,
        "diverged": diverged,
        "rolled_back": [e for e in events if e["event"] == "rolled back"],
        "seconds": time.perf_counter() - began,
        "tensors": None if diverged else [digest(folder / "checkpoint" / n) for n in TENSORS],
    }
    write_json(file, result)
    print(folder.name, "well" if result["well"] else "ill", accuracy, diverged or "", flush=True)
    return result


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


def counted(results):
    """Count the runs that ended well, with Wilson's interval."""
    well = sum(result["well"] for result in results)
    low, high = wilson_interval(well, len(results))
    return {"well": well, "of": len(results), "share": well / len(results), "ci95": [low, high]}


def summary(results):
    """Count by arm, over all rates that fail, and by norm and rate."""
    rows = {}
    for arm in RETRIES:
        mine = [r for r in results if r["arm"] == arm]
        failing = [r for r in mine if r["learning_rate"] in FAILING[r["norm"]]]
        rows[arm] = {"all rates that fail": counted(failing)}
        for norm, rate in sorted({(r["norm"], r["learning_rate"]) for r in mine}):
            cell = [r for r in mine if (r["norm"], r["learning_rate"]) == (norm, rate)]
            rows[arm][f"norm {norm}, learning rate {rate:g}"] = counted(cell)
    return rows


def identical(results):
    """Compare the runs in which the guard did nothing with those without it."""
    plain = {key(r): r for r in results if r["arm"] == "none"}
    calm = [
        r for r in results if r["arm"] == "guard" and not r["rolled_back"] and not r["diverged"]
    ]
    same = sum(r["tensors"] == plain[key(r)]["tensors"] for r in calm)
    return {"runs the guard left alone": len(calm), "identical bit for bit": same}


def key(result):
    return result["norm"], result["learning_rate"], result["seed"]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=list(range(8)))
    parser.add_argument("--sane-seeds", type=int, default=2, help="of them, at rates that work")
    parser.add_argument("--steps", type=int, default=250)
    parser.add_argument("--runs", required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("--trial", action="store_true", help="of code that is not committed")
    arguments = parser.parse_args()
    state = "trial" if arguments.trial else commit()
    data, results = load("digits"), []
    for number, seed in enumerate(arguments.seeds):
        for rates in (FAILING, *([SANE] if number < arguments.sane_seeds else [])):
            cells = [(norm, rate) for norm, values in rates.items() for rate in values]
            for cell in cells:
                results += [measured(*cell, seed, arm, arguments, data, state) for arm in RETRIES]
        keep(results, state, arguments, data)
    for arm, rows in summary(results).items():
        print(arm, {name: f"{row['well']}/{row['of']}" for name, row in rows.items()})
    print(identical(results))


def keep(results, state, arguments, data):
    """Write what is measured so far."""
    write_json(
        Path(arguments.out),
        {
            "command": command(),
            "commit": state,
            "data": "digits",
            "recipe": "jempp, quick",
            "changed": SMALL | {"optimisation.steps": arguments.steps},
            "retries": RETRIES,
            "seeds": sorted({result["seed"] for result in results}),
            "held_out": len(data.test),
            "ends well": f"no divergence, accuracy above {LEAST_ACCURACY:.0%}",
            "machine": {
                "torch": torch.__version__,
                "processor": processor(),
                "threads": torch.get_num_threads(),
                "device": "cpu",
            },
            "summary": summary(results),
            "unchanged": identical(results),
            "runs": results,
        },
    )


if __name__ == "__main__":
    main()
