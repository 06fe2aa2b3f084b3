"""Train the toys over seeds, hold them and their samplers to exact densities, and draw them.

    python benchmarks/landscape.py --runs runs/toys --out docs/results/landscape.json \
        --picture docs/images/landscape.png

The picture is of the first seed. Runs that are there are not trained again, so an interrupted
measurement goes on where it was. Beside the recipes' walk of temperature 1 stands JEM++ trained by
the same walk without noise, for one seed: the papers' walks are near that.
"""

import argparse
import platform
import statistics
import sys
from pathlib import Path

import torch
from recipes import commit

from jemstone.data import TOYS, load
from jemstone.experiments import Run, begin, data_landscape, landscape
from jemstone.files import read_json, write_json
from jemstone.recipes import changed, recipe_for
from jemstone.report import draw_landscapes

COLUMNS = {
    "jempp": ("jempp", {}),
    "robust-jem": ("robust-jem", {}),
    "jempp without noise": ("jempp", {"walk.temperature": 0.0}),
}
DENSITY = ("log_z", "nll", "kl_data_model", "kl_model_data", "total_variation", "accuracy")


def trained(folder, name, fields, data, seed):
    """Train one run, unless it is there."""
    if (folder / "recipe.yaml").is_file():
        run = Run.open(folder)
    else:
        run = begin(folder, changed(recipe_for(name, data.name), fields), data, seed=seed)
    print(folder, flush=True)
    if run.steps_done < run.steps:
        run.train(data)
    return run


def measured(folder, column, data, seed, samples):
    """Train and look at one run; its figures are kept beside it."""
    name, fields = COLUMNS[column]
    run = trained(folder, name, fields, data, seed)
    panel = landscape(run, data, count=samples)
    figures = {**panel.figures, "run": folder.name, "commit": commit()}
    write_json(folder / "landscape.json", figures)
    return panel


def flat(figures):
    """Name the figures that are averaged over seeds."""
    rows = {name: figures[name] for name in DENSITY}
    for robust in figures["robust_accuracy"]:
        rows[f"{robust['attack']}, {robust['norm']} {robust['eps']:g}"] = robust["value"]
    for row in figures["samplers"]:
        for name in ("kl", "kl_exact", "total_variation", "total_variation_exact"):
            rows[f"{row['sampler']}: {name}"] = row[name]
    return rows


def summary(results):
    """Return mean, standard deviation and values of every figure over seeds."""
    rows = [flat(figures) for figures in results]
    return {
        name: {
            "mean": statistics.fmean(row[name] for row in rows),
            "std": statistics.stdev(row[name] for row in rows) if len(rows) > 1 else None,
            "values": [row[name] for row in rows],
        }
        for name in rows[0]
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--samples", type=int, default=4000)
    parser.add_argument("--runs", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--picture", type=Path, required=True)
    arguments = parser.parse_args()
    panels, results = {name: [data_landscape(load(name))] for name in TOYS}, {}
    for seed in arguments.seeds:
        for name in TOYS:
            for column in COLUMNS:
                if column == "jempp without noise" and seed != arguments.seeds[0]:
                    continue
                folder = arguments.runs / name / str(seed) / column
                if seed == arguments.seeds[0] or not (folder / "landscape.json").is_file():
                    panel = measured(folder, column, load(name), seed, arguments.samples)
                    if seed == arguments.seeds[0]:
                        panels[name].append(panel)
                figures = read_json(folder / "landscape.json")
                results.setdefault(name, {}).setdefault(column, []).append(figures)
    everything = [f for columns in results.values() for found in columns.values() for f in found]
    commits = sorted({figures["commit"] for figures in everything})
    if len(commits) != 1:
        sys.exit(f"runs of several commits do not make one table: {', '.join(commits)}")
    draw_landscapes(arguments.picture, list(panels.values()))
    write_json(
        arguments.out,
        {
            "command": " ".join(["python", *sys.argv]),
            "commit": commits[0],
            "budget": "small",
            "seeds": arguments.seeds,
            "samples": arguments.samples,
            "held_out": everything[0]["n"],
            "cells": {"quadrature": everything[0]["cells"], "histogram": 32},
            "log_z_error": max(figures["log_z_error"] for figures in everything),
            "origin": "from scratch",
            "machine": {
                "torch": torch.__version__,
                "arch": platform.machine(),
                "threads": torch.get_num_threads(),
                "device": "cpu",
                "precision": "fp32",
            },
            "data": {
                name: {
                    "best": row[0].figures,
                    "runs": {
                        column: {
                            "seeds": [figures["seed"] for figures in found],
                            "temperature": found[0]["temperature"],
                            "steps": found[0]["step"],
                            "figures": summary(found),
                        }
                        for column, found in results[name].items()
                    },
                }
                for name, row in panels.items()
            },
        },
    )


if __name__ == "__main__":
    main()
