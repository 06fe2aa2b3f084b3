"""Measure how time and peak memory of a robust-jem iteration grow, one size at a time.

    python benchmarks/curves.py --out docs/results/curves.json
    python benchmarks/curves.py --quick --out runs/curves.json      # does it run?
    python benchmarks/curves.py --draw docs/results/curves.json     # the figure alone, again

Each point is measured in a process of its own, so that its peak memory is its own; rounds go
through all points of a curve in turn, so that a slow minute hits them alike. Time needs an idle
machine, memory does not. A figure of each curve is drawn beside the file.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

import torch
from state import command, commit

from jemstone.data import DataSet, Images
from jemstone.files import write_json
from jemstone.memory import keep_freed_memory
from jemstone.nn.modes import learning
from jemstone.recipes import build_buffer, build_model, build_objective, changed, recipe_for
from jemstone.samplers import ClassGaussian
from jemstone.training import choose_device, processor
from jemstone.types import Batch, Generator

POINT = {"steps": 10, "batch": 64, "width": 2, "size": 32, "slots": 1000, "classes": 10}
CURVES = {
    "steps": (5, 10, 20, 50, 100),
    "batch": (8, 16, 32, 64, 128, 256),
    "width": (1, 2, 4, 8),
    "size": (8, 16, 32, 64),
    "slots": (100, 1000, 10_000, 50_000),
    "classes": (2, 10, 100, 1000),
}
QUICK = {"steps": 2, "batch": 4, "width": 1, "size": 8, "slots": 40, "classes": 4}
QUICK_CURVES = {"steps": (2, 4), "slots": (40, 80)}
LABELS = {
    "steps": "steps of the walk",
    "batch": "images in a batch",
    "width": "width of the network",
    "size": "pixels of a side",
    "slots": "chains in the buffer",
    "classes": "classes",
    "processes": "processes",
}
ACROSS = 4  # panels beside each other
SPREAD = ("slots", "classes")  # over powers of ten
RANK = 16  # of the class Gaussians: full ones of 1000 classes would be what is measured


def measure(point, rounds, precision):
    """Do iterations at a point in this process; print its seconds, and its peak memory."""
    keep_freed_memory()
    device, (batch, classes) = choose_device("cpu", precision), (point["batch"], point["classes"])
    pixels = torch.randint(256, (2 * batch, 3, point["size"], point["size"]), dtype=torch.uint8)
    images = Images(pixels, torch.arange(2 * batch) % classes)
    data = DataSet("cifar10", images, images, tuple(map(str, range(classes))), flip=True)
    fields = {
        "network.depth": 10,
        "network.width": point["width"],
        "walk.steps": point["steps"],
        "optimisation.batch_size": batch,
        "chains.size": point["slots"],
    }
    recipe = changed(recipe_for("robust-jem", "cifar10", "paper"), fields)
    size = pixels[0].numel()
    numbers = torch.rand(classes, size, RANK) * 0.1, torch.full((classes, size), 0.1)
    means = torch.full((classes, size), 0.5)
    gaussian = ClassGaussian(means, numbers[0], tuple(pixels.shape[1:]), numbers[1])
    model = build_model(recipe, data, seed=0).train()
    buffer = build_buffer(recipe, gaussian, classes, Generator(0))
    objective = build_objective(recipe, buffer, classes)
    optimiser = recipe.optimisation.build(model)
    x, y = images.take(torch.arange(batch))
    x = x.contiguous(memory_format=torch.channels_last)
    seconds = []
    for number in range(rounds + 1):  # the first warms up
        began = time.perf_counter()
        with device.autocast(), learning(model):
            loss = objective(model, Batch(x, y), Generator(number))
        optimiser.zero_grad(set_to_none=True)
        loss.value.backward()
        optimiser.step()
        seconds.append(time.perf_counter() - began)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    answer = {"seconds": seconds[1:], "peak_bytes": peak, "precision": str(device)}
    print(json.dumps(answer))


def asked(point, precision):
    line = [sys.executable, __file__, "--point", json.dumps(point), "--precision", precision]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    if done.returncode:
        return {"seconds": [], "peak_bytes": None, "reason": done.stderr.strip()[-200:]}
    return json.loads(done.stdout.splitlines()[-1])


def curve(name, values, base, rounds, precision):
    """Measure the points of a curve, in interleaved rounds."""
    points = [{**base, name: value} for value in values]
    answers = [[asked(point, precision) for point in points] for _ in range(rounds)]
    rows = []
    for number, value in enumerate(values):
        mine = [answer[number] for answer in answers]
        seconds = [second for answer in mine for second in answer["seconds"]]
        peaks = [answer["peak_bytes"] for answer in mine if answer["peak_bytes"]]
        rows.append(
            {
                name: value,
                "seconds": statistics.median(seconds) if seconds else None,
                "peak_bytes": max(peaks, default=None),
                "reason": mine[0].get("reason"),
            }
        )
        print(f"{LABELS[name]} {value}: {rows[-1]}", flush=True)
    return rows


def processes(quick):
    """Measure one process against two, as benchmarks/scaling.py does."""
    from scaling import measured

    steps = 2 if quick else 20
    taken = [measured("robust-jem", "cifar10", 64, count, steps) for count in (1, 2)]
    return [
        {"processes": count, "seconds": row["wall"], "processor_seconds": row["processor"]}
        for count, row in zip((1, 2), taken, strict=True)
    ]


def panel(axis, name, rows, key, unit):
    """Plot one figure along a curve; show nothing where it was not measured."""
    known = [(row[name], row[key] / unit) for row in rows if row.get(key)]
    if not known:
        return
    axis.set_axis_on()
    axis.plot(*zip(*known, strict=True), "o-")
    axis.set(xlabel=LABELS[name], ylim=(0, 1.1 * max(y for _, y in known)))
    if name in SPREAD:
        axis.set_xscale("log")


def draw(curves, path):
    """Draw each curve's time above its memory, a few curves beside each other."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "curves"  # drawn again, the file is the same
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(4, ACROSS, figsize=(11, 10), squeeze=False)
    for axis in axes.flat:  # until a curve needs it
        axis.set_axis_off()
    for number, (name, rows) in enumerate(curves.items()):
        row, column = divmod(number, ACROSS)
        panel(axes[2 * row, column], name, rows, "seconds", 1)
        panel(axes[2 * row + 1, column], name, rows, "peak_bytes", 2**20)
    for row in (0, 2):
        axes[row, 0].set_ylabel("seconds of an iteration")
        axes[row + 1, 0].set_ylabel("peak memory, MiB")
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", help="FILE.json; the figure is FILE.svg")
    parser.add_argument("--draw", type=Path, help="FILE.json that was measured before")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--quick", action="store_true", help="tiny sizes: does it run?")
    parser.add_argument("--point", type=json.loads, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.point:
        return measure(arguments.point, 2, arguments.precision)
    if arguments.draw:
        curves = json.loads(arguments.draw.read_text())["curves"]
        return draw(curves, arguments.draw.with_suffix(".svg"))
    if not arguments.out:
        parser.error("--out names the file")
    rounds = 1 if arguments.quick else arguments.rounds
    base, wanted = (QUICK, QUICK_CURVES) if arguments.quick else (POINT, CURVES)
    out = Path(arguments.out)
    about = {
        "command": command(),
        "seed": 0,
        "commit": None if arguments.quick else commit(),
        "machine": {
            "torch": torch.__version__,
            "threads": torch.get_num_threads(),
            "device": str(choose_device("cpu", arguments.precision)),
            "cores": os.cpu_count(),
            "processor": processor(),
        },
        "work": "robust-jem iteration, WRN-10",
        "at": base,
    }
    found = {}
    for name, values in wanted.items():
        found[name] = curve(name, values, base, rounds, arguments.precision)
        write_json(out, {**about, "curves": found})
    found["processes"] = processes(arguments.quick)
    write_json(out, {**about, "curves": found})
    draw(found, out.with_suffix(".svg"))
    print(out)
    return None


if __name__ == "__main__":
    main()
