"""Measure what the paper leaves open in combined inference, on trained Robust JEMs.

    python benchmarks/combined.py --runs runs/digits/robust-jem-small-* \
        --out docs/results/digits-combined.json

Radius of the painting attack, contrast factor and walk steps, each row the mean over the runs;
the first rows are the init, the walk alone and the paper's own proportions. At 32x32, take fewer:

    python benchmarks/combined.py --runs runs/cifar10/robust-jem-small-0 --eps 0.025 0.05 \
        --factors 0.8 1.0 --steps 10 40 --out docs/results/cifar10-combined.json
"""

import argparse
import statistics
import sys
from pathlib import Path

from state import commit

from jemstone.data import Images, fingerprint, to_bytes
from jemstone.experiments import Run, balanced_labels, draw, judge_for, judge_from
from jemstone.experiments.sight import look_once
from jemstone.files import write_json
from jemstone.metrics import compare, look, nearest_to
from jemstone.recipes import build_sampler, changed
from jemstone.types import Generator

FIGURES = ("is", "fid", "recall", "agreement")


def settings(recipe, radii, factors, walks):
    """Yield the rows: sampler, what is changed in the recipe."""
    yield "init", {}
    for steps in walks:
        yield "energy", {"sampling.energy.steps": steps}
    trained = recipe.attack.eps
    yield "combined", painting(5 * trained, 0.8, 50)  # the paper's 0.5 beside 0.1
    for eps in radii:
        for factor in factors:
            for steps in walks:
                yield "combined", painting(eps, factor, steps)


def painting(eps, factor, steps):
    return {
        "sampling.attack.eps": eps,
        "sampling.attack.step_size": 2.5 * eps / 15,
        "sampling.contrast.factor": factor,
        "sampling.combined.steps": steps,
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", nargs="+", type=Path, required=True)
    parser.add_argument("--eps", nargs="*", type=float, default=[0.05, 0.10, 0.25])
    parser.add_argument("--factors", nargs="*", type=float, default=[0.8, 0.95, 1.0])
    parser.add_argument("--steps", nargs="*", type=int, default=[10, 50])
    parser.add_argument("--judge", type=Path, help="FILE.safetensors")
    parser.add_argument("--n", type=int, default=1000)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    runs = [Run.open(path) for path in sorted(arguments.runs) if path.is_dir()]
    data = runs[0].data()
    judge = judge_from(arguments.judge, data) if arguments.judge else judge_for(data)
    reference, learnt = (
        look_once(part, judge, f"{fingerprint(data)} {name}")
        for part, name in ((data.test, "test"), (data.train, "train"))
    )
    yardstick = nearest_to(learnt, reference)
    device = runs[0].device  # walks in the precision of training, whose noise FID does not see
    y = balanced_labels(arguments.n, runs[0].classes)
    rows = []
    for sampler, fields in settings(
        runs[0].recipe, arguments.eps, arguments.factors, arguments.steps
    ):
        seen = []
        for run in runs:
            drawn = build_sampler(changed(run.recipe, fields), sampler, run.gaussian)
            x = draw(run.model(), drawn, y, Generator(0).fold("samples"), device=device)
            seen.append(compare(look(Images(to_bytes(x), y), judge), reference, learnt, yardstick))
        row = {name: statistics.fmean(s[name] for s in seen) for name in FIGURES}
        near = [s["nearest_neighbour"] for s in seen]
        row["nearest"] = statistics.fmean(n["pixel"] / n["pixel_held_out"] for n in near)
        rows.append({"sampler": sampler, **fields, **row})
        print(sampler, *fields.values(), {k: round(v, 3) for k, v in row.items()}, flush=True)
    write_json(
        arguments.out,
        {
            "command": " ".join(["python", *sys.argv]),
            "commit": commit(),
            "data": data.name,
            "seeds": [run.seed for run in runs],
            "samples": arguments.n,
            "held_out": len(data.test),
            "origin": "from scratch",
            "precision": "bf16" if device.bf16 else "fp32",
            "features": judge.name,
            "judge_accuracy": judge.accuracy,
            "rows": rows,
        },
    )


if __name__ == "__main__":
    main()
