"""Time training steps by one process and by more, each of one thread, at the same joint batch.

    python benchmarks/scaling.py --out docs/results/scaling.json

Rounds are interleaved, so that a slow minute hits all rows alike. Seconds on the wall need an idle
machine; seconds of the processor do not, and bound what an idle machine can give.

Every row is a recipe at its `small` budget, and its own batch of 64 where no other stands. Digits
are 8x8: half a batch of them takes more than half the time of a whole one, since much of a
convolution so small is its call. From MNIST's 28x28 on, it is its arithmetic. Images are random
there, as a step costs the same whatever they show. About 12 minutes.
"""

import argparse
import json
import math
import os
import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path

import torch
from state import command, commit

from jemstone.data import DataSet, Images, load
from jemstone.files import write_json
from jemstone.recipes import build_buffer, build_model, build_objective, changed, recipe_for
from jemstone.samplers import ClassGaussian
from jemstone.training import Device, Quiet, TrainingState, join, processor, train
from jemstone.types import Generator

# Recipe, data and joint batch.
WORKS = (
    ("robust-jem", "digits", 64),
    ("robust-jem", "digits", 256),
    ("jempp", "mnist", 64),
    ("robust-jem", "mnist", 64),
    ("jempp", "cifar10", 64),
    ("robust-jem", "cifar10", 64),
)
WARMUP = 5
SHAPES = {"mnist": (1, 28, 28), "cifar10": (3, 32, 32)}


class Clock(Quiet):
    """Notes the wall and this process's processor after every step."""

    def __init__(self):
        self.times = []

    def wants_stop(self):  # asked in every process after every step but the last
        self.times.append((time.perf_counter(), time.process_time()))
        return False


def images(name):
    """Return digits, or random images of a data set's shape."""
    if name not in SHAPES:
        return load(name)
    shape = SHAPES[name]
    draws = Generator(0).integers(1000 * math.prod(shape), 256).reshape(1000, *shape)
    some = Images(draws.to(torch.uint8), torch.arange(1000) % 10)
    return DataSet(name, some, some.first(10), tuple("0123456789"), flip=False)


def measure(name, data, batch, steps):
    """Train in this process, beside the others; print its seconds per step."""
    torch.set_num_threads(1)
    data, clock = images(data), Clock()
    fields = {"optimisation.steps": steps + WARMUP + 1, "optimisation.batch_size": batch}
    recipe = changed(recipe_for(name, data.name), fields)
    with join() as processes:
        gaussian = ClassGaussian.fit(data.train.x, data.train.y)
        classes = len(data.classes)
        model = build_model(recipe, data, seed=0)
        buffer = build_buffer(recipe, gaussian, classes, Generator(0), processes.share)
        optimiser = recipe.optimisation.build(model)
        train(
            TrainingState(model, optimiser, buffer, processes=processes),
            build_objective(recipe, buffer, classes),
            data.train,
            recipe.optimisation,
            [clock],
            Generator(0),
            augmentation=recipe.augmentation,
            device=Device("cpu"),
            log_every=10**6,
            checkpoint_every=10**6,
        )
        (wall, processor), (wall_end, processor_end) = clock.times[WARMUP - 1], clock.times[-1]
        if processes.leads:
            taken = {"wall": wall_end - wall, "processor": processor_end - processor}
            print(json.dumps({key: value / steps for key, value in taken.items()}))


def measured(name, data, batch, processes, steps):
    start = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    work = [f"--work={name}", f"--data={data}", f"--batch={batch}", f"--steps={steps}"]
    done = subprocess.run(
        [*start, f"--nproc-per-node={processes}", __file__, *work],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    return json.loads(done.stdout.splitlines()[-1])


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--work", help=argparse.SUPPRESS)
    parser.add_argument("--data", help=argparse.SUPPRESS)
    parser.add_argument("--batch", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.work:
        measure(arguments.work, arguments.data, arguments.batch, arguments.steps)
        return
    state = commit()
    worlds, times = (1, arguments.processes), {}
    for _ in range(arguments.rounds):
        for work in WORKS:
            for world in worlds:
                taken = measured(*work, world, arguments.steps)
                times.setdefault((*work, world), []).append(taken)
                print(*work, f"{world} processes", taken, flush=True)
    rows = []
    for work in WORKS:
        row = dict(zip(("recipe", "data", "batch"), work, strict=True))
        row["processes"] = arguments.processes
        for clock in ("wall", "processor"):
            one, many = (
                statistics.median(taken[clock] for taken in times[*work, world]) for world in worlds
            )
            row |= {f"{clock}_one_s": one, f"{clock}_many_s": many, f"{clock}_ratio": one / many}
        rows.append(row)
    figures = {
        "command": command(),
        "seed": 0,
        "commit": state,
        "rounds": arguments.rounds,
        "steps": arguments.steps,
        "machine": {
            "torch": torch.__version__,
            "threads": 1,
            "device": "cpu, fp32",
            "processor": processor(),
            "cores": os.cpu_count(),
            "python": platform.python_version(),
        },
        "rows": rows,
    }
    write_json(Path(arguments.out), figures)
    print(arguments.out)


if __name__ == "__main__":
    main()
