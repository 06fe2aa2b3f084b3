"""Measure what the radius of the training attack costs Robust JEM's samples, at equal steps.

    python benchmarks/radius.py --data cifar10 --steps 1500 --runs runs/radius \
        --judge docs/results/weights/cifar10-judge.safetensors \
        --out docs/results/cifar10-radius.json

Radius 0 is JEM++: the same recipe, its classifier sees clean images. Between it and the budget's
radius lies why the paper's order of the two is seen, or is not. Rows that are there are not
measured again; those of other data, samples or features are refused. A run that diverges has a row
without figures, which says how.
"""

import argparse
from pathlib import Path

import torch
from state import begun, command, commit

from jemstone.data import Images, load
from jemstone.experiments import begin, device_for, judge_from
from jemstone.experiments.ablations.figures import sampled_figures
from jemstone.experiments.sight import open_eyes
from jemstone.files import write_json
from jemstone.metrics import agreement, predictions, robust_accuracy
from jemstone.recipes import build_sampler, changed, of_length, recipe_for
from jemstone.samplers import madry_step
from jemstone.training import Diverged
from jemstone.types import Generator

SAMPLERS = ("energy", "combined")


def recipe_of(radius, data, steps):
    """Return the small budget's recipe, shorter, whose attack has a radius; of 0 it is JEM++'s."""
    if not radius:
        return of_length(recipe_for("jempp", data), steps)
    whole = recipe_for("robust-jem", data)
    fields = {"attack.eps": radius, "attack.step_size": madry_step(radius, whole.attack.steps)}
    return changed(of_length(whole, steps), fields)


def measured(run, data, eyes, arguments):
    """Judge a run's classifier, clean and attacked at the budget's radius, and its samples."""
    model = run.model().to(run.device.name)
    chosen = Generator(0).permutation(len(data.test))[: arguments.n]
    some = Images(data.test.pixels[chosen], data.test.labels[chosen])
    eps = recipe_for("robust-jem", data.name).attack.eps
    attacked = robust_accuracy(model, some, "linf", [eps], generator=Generator(0), restarts=1)
    row = {
        "accuracy": agreement(predictions(model, data.test), data.test.labels),
        "robust_accuracy": attacked[0]["value"],
    }
    for name in SAMPLERS:
        # Of Robust JEM's radius for all: combined inference paints within half of it.
        sampler = build_sampler(recipe_for("robust-jem", data.name), name, run.gaussian)
        row[name] = sampled_figures(
            model,
            sampler,
            eyes,
            count=arguments.n,
            classes=run.classes,
            generator=Generator(0),
            device=run.device,
        )
    return row


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default="cifar10")
    parser.add_argument("--data-root")
    parser.add_argument("--radii", type=float, nargs="+", default=[0.0, 0.0125, 0.025, 0.05])
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--n", type=int, default=1000)
    parser.add_argument("--judge", type=Path, required=True)
    parser.add_argument("--runs", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    state = commit()
    data = load(arguments.data, arguments.data_root)
    judge = judge_from(arguments.judge, data)
    eyes, device = open_eyes(judge, data), device_for(data)
    head = {
        "data": data.name,
        "seed": 0,
        "samples": arguments.n,
        "held_out": len(data.test),
        "origin": "from scratch",
        "attack": f"PGD-20 x1, linf {recipe_for('robust-jem', data.name).attack.eps:g}, "
        f"{arguments.n} images",
        "features": judge.name,
        "judge_accuracy": judge.accuracy,
        "precision": "bf16" if device.bf16 else "fp32",
    }
    found = begun(arguments.out, head)
    for radius in arguments.radii:
        name = f"{radius:g} {arguments.steps}"
        if name in found["rows"]:
            continue
        recipe = recipe_of(radius, data.name, arguments.steps)
        folder = arguments.runs / f"{radius:g}-{arguments.steps}"
        run = begin(folder, recipe, data, root=arguments.data_root, device=device, again=True)
        row = {"radius": radius, "steps": arguments.steps, "commit": state}
        try:
            run.train(data)
        except Diverged as diverged:
            row["diverged"] = str(diverged)
        else:
            row |= measured(run, data, eyes, arguments)
        found["rows"][name] = row
        found |= {"command": command(), "threads": torch.get_num_threads()}
        write_json(arguments.out, found)
        print(name, row, flush=True)


if __name__ == "__main__":
    main()
