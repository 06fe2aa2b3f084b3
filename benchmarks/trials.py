"""Try what a small budget may be made of: short runs, each of one change to the recipe.

    python benchmarks/trials.py --data cifar10 --data-root DATA --runs runs/trials \
        --out docs/results/cifar10-trials.json

What learns soonest in a few hundred steps is what a budget of an hour or two is made of. Rows that
are there are not measured again, so an interrupted measurement goes on where it was.
"""

import argparse
import time
from pathlib import Path

import torch
from state import begun, command, commit

from jemstone.data import Images, load
from jemstone.experiments import begin
from jemstone.files import write_json
from jemstone.metrics import robust_accuracy
from jemstone.recipes import changed, of_length, recipe_for
from jemstone.samplers import madry_step
from jemstone.training import Diverged
from jemstone.types import Generator

EMA = 0.99  # of a hundred steps: an average over a thousand would judge the init
VARIANTS = {
    "the budget": {},
    "init default": {"network.init": "default"},
    "no ramp": {"ramp": 0},
    "init default, no ramp": {"network.init": "default", "ramp": 0},
    "batch norm": {"network.norm": "batch", "attack.mode": "batch", "network.init": "default"},
    "group norm": {"network.norm": "group", "network.init": "default"},
    "silu": {"network.activation": "silu"},
    "learning rate 0.03": {"optimisation.learning_rate": 0.03},
    "learning rate 0.3": {"optimisation.learning_rate": 0.3},
    "padding 4": {"augmentation.padding": 4},
    "width 2": {"network.width": 2},
    "depth 16": {"network.depth": 16},
    "5 attack steps": {"attack.steps": 5, "attack.step_size": madry_step(0.05, 5)},
    "batches of 128": {"optimisation.batch_size": 128, "optimisation.learning_rate": 0.2},
}


def trial(fields, data, arguments, folder):
    """Train for a few steps, and judge clean and attacked on a few held-out images."""
    recipe = recipe_for(arguments.recipe, data.name)
    short = of_length(recipe, arguments.steps)
    # Class Gaussians of a low rank are quick to fit, where there are chains.
    fields = {"optimisation.ema": EMA, "chains.rank": 64} | fields
    run = begin(folder, changed(short, fields), data, root=arguments.data_root, again=True)
    began = time.perf_counter()
    try:
        run.train(data)
    except Diverged as diverged:
        return {"diverged": str(diverged)}
    seconds = time.perf_counter() - began
    chosen = Generator(0).permutation(len(data.test))[: arguments.n]
    some = Images(data.test.pixels[chosen], data.test.labels[chosen])
    eps = recipe.attack.eps
    clean, robust = robust_accuracy(
        run.model().to(run.device.name),
        some,
        "linf",
        [0.0, eps],
        generator=Generator(0),
        restarts=1,
    )
    return {"accuracy": clean["value"], "robust_accuracy": robust["value"], "seconds": seconds}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default="cifar10")
    parser.add_argument("--data-root")
    parser.add_argument("--recipe", default="robust-classifier")
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--n", type=int, default=1000)
    parser.add_argument("--variants", nargs="*", default=list(VARIANTS))
    parser.add_argument("--runs", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    state = commit()
    data = load(arguments.data, arguments.data_root)
    head = {
        "data": data.name,
        "recipe": arguments.recipe,
        "seed": 0,
        "steps": arguments.steps,
        "attack": f"PGD-20 x1, linf {recipe_for(arguments.recipe, data.name).attack.eps:g}",
        "held_out": arguments.n,
    }
    found = begun(arguments.out, head)
    for name in arguments.variants:
        if name in found["rows"]:
            continue
        folder = arguments.runs / name.replace(" ", "-").replace(",", "")
        row = trial(VARIANTS[name], data, arguments, folder)
        found["rows"][name] = {"changed": VARIANTS[name], **row, "commit": state}
        found |= {"command": command(), "threads": torch.get_num_threads()}
        write_json(arguments.out, found)
        print(name, row, flush=True)


if __name__ == "__main__":
    main()
