"""Train the toys over seeds, hold them and their samplers to exact densities, and draw them.

    python benchmarks/landscape.py --runs runs/toys --out docs/results/landscape.json \
        --picture docs/images/landscape.png

The picture is of the first seed. What is there is neither trained nor measured again, so an
interrupted measurement goes on where it was. The column `jempp without noise` is JEM++ trained by
the same walk at temperature 0: the papers' walks are near that.
"""

import argparse
import statistics
import sys
from pathlib import Path

import torch
from state import command, commit

from jemstone.data import TOYS, load
from jemstone.experiments import Landscape, Run, begin, data_landscape, landscape
from jemstone.files import read_json, read_tensors, write_json, write_tensors
from jemstone.recipes import changed, recipe_for
from jemstone.report import draw_landscapes
from jemstone.training import processor

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
    """Train and look at one run, unless that is done; what was seen is kept in its folder."""
    file, picture = folder / "landscape.json", folder / "landscape.safetensors"
    if not (file.is_file() and picture.is_file()):
        name, fields = COLUMNS[column]
        panel = landscape(trained(folder, name, fields, data, seed), data, count=samples)
        seen = ("log_density", "predicted", "points", "labels")
        write_tensors(picture, {name: getattr(panel, name) for name in seen})
        write_json(file, {**panel.figures, "run": column, "commit": commit()})
    figures = read_json(file)
    if {row["n"] for row in figures["samplers"]} != {samples}:
        sys.exit(f"{file} is of another number of samples: choose another --runs")
    return Landscape(title=column, figures=figures, **read_tensors(picture))


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
    parser.add_argument("--data", nargs="+", default=list(TOYS))
    parser.add_argument("--columns", nargs="+", default=list(COLUMNS), choices=COLUMNS)
    parser.add_argument("--samples", type=int, default=4000)
    parser.add_argument("--runs", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--picture", type=Path, required=True)
    arguments = parser.parse_args()
    commit()
    panels, results = {name: [data_landscape(load(name))] for name in arguments.data}, {}
    for seed in arguments.seeds:
        for name, row in panels.items():
            for column in arguments.columns:
                folder = arguments.runs / name / str(seed) / column
                panel = measured(folder, column, load(name), seed, arguments.samples)
                results.setdefault(name, {}).setdefault(column, []).append(panel.figures)
                if seed == arguments.seeds[0]:
                    row.append(panel)
    everything = [f for columns in results.values() for found in columns.values() for f in found]
    commits = sorted({figures["commit"] for figures in everything})
    if len(commits) != 1:
        sys.exit(f"runs of several commits do not make one table: {', '.join(commits)}")
    draw_landscapes(arguments.picture, list(panels.values()))
    write_json(
        arguments.out,
        {
            "command": command(),
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
                "processor": processor(),
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
