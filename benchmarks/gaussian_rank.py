"""Measure what class Gaussians lose, and save, by the rank of their covariances.

    python benchmarks/gaussian_rank.py --data digits --out docs/results/gaussian-rank-digits.json

Draws of each rank are judged against held-out images, as are training images, which no draw can be
expected to beat. A rank that the images cannot have is left out.
"""

import argparse
import sys
import time
from pathlib import Path

import torch
from recipes import mean_and_deviation
from state import command, commit

from jemstone.data import Images, fingerprint, load, to_bytes
from jemstone.errors import Mistake
from jemstone.experiments import balanced_labels, judge_for, judge_from
from jemstone.experiments.sight import look_once
from jemstone.files import write_json
from jemstone.functional.gaussian import count_numbers, lonely_classes
from jemstone.metrics import compare, look, nearest_to
from jemstone.samplers import ClassGaussian
from jemstone.training import processor
from jemstone.types import Generator

FIGURES = ("is", "fid", "kid", "precision", "recall", "density", "coverage", "agreement")
RANKS = (0, 1, 4, 16, 64, 256, None)
BATCH = 250


def rank_of(word):
    """Read a rank; `full` is none."""
    return None if word == "full" else int(word)


def summary(seen):
    """Collect each figure over the seeds."""
    rows = {name: mean_and_deviation([s[name] for s in seen]) for name in FIGURES}
    near = [s["nearest_neighbour"] for s in seen]
    ratios = [n["pixel"] / n["pixel_held_out"] for n in near]
    return {**rows, "nearest / held-out": mean_and_deviation(ratios)}


def measured(rank, data, judge, seen_of, arguments):
    """Fit Gaussians of a rank, draw from them by each seed, and judge the draws."""
    train, classes = data.train, len(data.classes)
    began = time.perf_counter()
    gaussian = ClassGaussian.fit(train.pixels, train.y, classes, rank=rank)
    fitted = time.perf_counter() - began
    y, seen, seconds = balanced_labels(arguments.n, classes), [], []
    for seed in arguments.seeds:
        stream, parts = Generator(seed).fold("samples"), []
        began = time.perf_counter()
        for places in torch.arange(len(y)).split(BATCH):
            parts.append(gaussian(y[places], stream.at(places)))
        seconds.append(1000 * (time.perf_counter() - began) / len(y))
        seen.append(compare(look(Images(to_bytes(torch.cat(parts)), y), judge), *seen_of))
    row = {
        "rank": "full" if rank is None else rank,
        "statistics_bytes": 4 * count_numbers(train.pixels[0].numel(), classes, rank),
        "classes_with_the_covariance_of_all": len(lonely_classes(train.y, classes, rank)),
        "fit_s": fitted,
        "draw_s_per_1000": min(seconds),
        "figures": summary(seen),
    }
    print(row["rank"], f"FID {row['figures']['fid']['mean']:.3f}, fit {fitted:.1f} s", flush=True)
    return row


def yardstick(data, judge, seen_of, arguments):
    """Judge training images as if they were draws."""
    seen = []
    for seed in arguments.seeds:
        places = Generator(seed).permutation(len(data.train))[: arguments.n]
        images = Images(data.train.pixels[places], data.train.labels[places])
        seen.append(compare(look(images, judge), *seen_of))
    return {name: mean_and_deviation([s[name] for s in seen]) for name in FIGURES}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default="digits")
    parser.add_argument("--data-root")
    parser.add_argument("--ranks", type=rank_of, nargs="+", default=RANKS)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--n", type=int, default=1000)
    parser.add_argument("--judge", type=Path, help="FILE.safetensors; by default the data's")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    state = commit()
    data = load(arguments.data, arguments.data_root)
    judge = judge_from(arguments.judge, data) if arguments.judge else judge_for(data)
    held_out, learnt = (
        look_once(part, judge, f"{fingerprint(data)} {name}")
        for part, name in ((data.test, "test"), (data.train, "train"))
    )
    seen_of = held_out, learnt, nearest_to(learnt, held_out)
    size, largest = data.train.pixels[0].numel(), int(torch.bincount(data.train.y).max())
    possible = [r for r in arguments.ranks if r is None or r < min(size, largest)]
    write_json(
        arguments.out,
        {
            "command": command(),
            "commit": state,
            "data": data.name,
            "shape": data.shape,
            "classes": len(data.classes),
            "train": len(data.train),
            "seeds": arguments.seeds,
            "samples": arguments.n,
            "held_out": len(data.test),
            "origin": "scratch",
            "features": judge.name,
            "judge_accuracy": judge.accuracy,
            "machine": {
                "torch": torch.__version__,
                "processor": processor(),
                "threads": torch.get_num_threads(),
                "device": "cpu",
                "precision": "fp32",
            },
            "training_images": yardstick(data, judge, seen_of, arguments),
            "ranks": [measured(rank, data, judge, seen_of, arguments) for rank in possible],
        },
    )


if __name__ == "__main__":
    try:
        main()
    except Mistake as mistake:
        sys.exit(f"{mistake}")
