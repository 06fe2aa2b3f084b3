"""Time training steps by one process and by more, each of one thread, at the same joint batch.

    python benchmarks/scaling.py --out docs/results/scaling.json

Rounds are interleaved, so that a slow minute hits all rows alike. Seconds on the wall need an idle
machine; seconds of the processor do not, and bound what an idle machine can give.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path

import torch

from jemstone.data import load
from jemstone.files import write_json
from jemstone.recipes import build_buffer, build_model, build_objective, changed, recipe_for
from jemstone.samplers import ClassGaussian
from jemstone.training import Device, TrainingState, join, train
from jemstone.types import Generator

WORKS = (("jempp", 64), ("robust-jem", 64), ("robust-jem", 256))  # recipe and joint batch
WARMUP = 5


class Clock:
    """Notes the wall and this process's processor after every step."""

    def __init__(self):
        self.times = []

    def on_metrics(self, step, metrics):
        pass

    def on_event(self, event):
        pass

    def on_checkpoint(self, state, model):
        pass

    def wants_stop(self):  # asked in every process after every step but the last
        self.times.append((time.perf_counter(), time.process_time()))
        return False


def measure(name, batch, steps):
    """Train in this process, beside the others; print its seconds per step."""
    torch.set_num_threads(1)
    data, clock = load("digits"), Clock()
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


def measured(name, batch, processes, steps):
    start = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    work = [f"--work={name}", f"--batch={batch}", f"--steps={steps}"]
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
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--work", help=argparse.SUPPRESS)
    parser.add_argument("--batch", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.work:
        measure(arguments.work, arguments.batch, arguments.steps)
        return
    git = ["git", "-C", str(Path(__file__).parent)]
    dirty = subprocess.check_output([*git, "status", "--porcelain"], text=True).strip()
    commit = subprocess.check_output([*git, "rev-parse", "HEAD"], text=True).strip()
    worlds, times = (1, arguments.processes), {}
    for _ in range(arguments.rounds):
        for name, batch in WORKS:
            for world in worlds:
                taken = measured(name, batch, world, arguments.steps)
                times.setdefault((name, batch, world), []).append(taken)
                print(f"{name:<12} {batch:>4} images  {world} processes  {taken}", flush=True)
    rows = []
    for name, batch in WORKS:
        row = {"recipe": name, "batch": batch, "processes": arguments.processes}
        for clock in ("wall", "processor"):
            one, many = (
                statistics.median(taken[clock] for taken in times[name, batch, world])
                for world in worlds
            )
            row |= {f"{clock}_one_s": one, f"{clock}_many_s": many, f"{clock}_ratio": one / many}
        rows.append(row)
    figures = {
        "command": " ".join(["python", *sys.argv]),
        "seed": 0,
        "commit": None if dirty else commit,
        "data": "digits",
        "rounds": arguments.rounds,
        "steps": arguments.steps,
        "machine": {
            "torch": torch.__version__,
            "threads": 1,
            "device": "cpu, fp32",
            "cores": os.cpu_count(),
            "python": platform.python_version(),
        },
        "rows": rows,
    }
    write_json(Path(arguments.out), figures)
    print(arguments.out)


if __name__ == "__main__":
    main()
