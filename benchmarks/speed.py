"""Time the parts that runs are made of, on this machine, otherwise idle.

    python benchmarks/speed.py --out runs/bench.json

Each figure is a median over interleaved rounds, so that a slow minute hits all rows alike.
"""

import argparse
import statistics
import time
from pathlib import Path

import torch

from jemstone.data import Augmentation, load
from jemstone.files import write_json
from jemstone.recipes import (
    build_buffer,
    build_model,
    build_objective,
    build_sampler,
    recipe_for,
)
from jemstone.samplers import ClassGaussian
from jemstone.training import Device, choose_device
from jemstone.types import Generator

RECIPES = ("classifier", "robust-classifier", "jempp", "robust-jem")
SAMPLERS = ("attack", "energy", "combined")
BATCH = 64


def works(data, gaussian, device):
    """Yield what is timed: a name, and a call that does it once for one batch."""
    batch = data.train.take(torch.arange(BATCH))
    y, generator = batch.y, Generator(0)
    for name in RECIPES:
        recipe = recipe_for(name, data.name)
        model = build_model(recipe, data, seed=0)
        buffer = build_buffer(recipe, gaussian, len(data.classes), generator)
        objective = build_objective(recipe, buffer, len(data.classes))

        def iteration(model=model, objective=objective):
            with device.autocast():
                loss = objective(model, batch, generator)
            model.zero_grad(set_to_none=True)
            loss.value.backward()

        yield f"training iteration, {name}", iteration
    recipe = recipe_for("robust-jem", data.name)
    model = build_model(recipe, data, seed=0).eval()
    for name in SAMPLERS:
        sampler = build_sampler(recipe, name, gaussian)
        yield f"sampler, {name}", lambda sampler=sampler: sampler(model, y, generator)
    yield "class-Gaussian init", lambda: gaussian(y, generator)
    augment = Augmentation(padding=1)
    yield "augmentation", lambda: augment(batch.x, generator)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", required=True)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    data, device = load("digits"), choose_device()
    gaussian = ClassGaussian.fit(data.train.x, data.train.y)
    seconds = {}
    for number in range(arguments.rounds + 1):  # the first round warms up
        for name, work in works(data, gaussian, Device(device.name, device.bf16)):
            began = time.perf_counter()
            work()
            if number:
                seconds.setdefault(name, []).append(time.perf_counter() - began)
    rows = [
        {"work": name, "batch": BATCH, "seconds": statistics.median(values)}
        for name, values in seconds.items()
    ]
    environment = {
        "device": str(device),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "data": data.name,
        "rounds": arguments.rounds,
    }
    for row in rows:
        print(f"{row['work']:<40} {1000 * row['seconds']:9.2f} ms")
    write_json(Path(arguments.out), {**environment, "rows": rows})
    print(arguments.out)


if __name__ == "__main__":
    main()
