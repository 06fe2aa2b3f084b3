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
from pathlib import Path

from state import command, commit

from jemstone.experiments import Run, judge_for, judge_from
from jemstone.experiments.ablations.figures import sampled_figures
from jemstone.experiments.sight import open_eyes
from jemstone.files import write_json
from jemstone.recipes import build_sampler, changed
from jemstone.samplers import madry_step
from jemstone.types import Generator

FIGURES = ("is", "fid", "recall", "agreement", "nearest")


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
        "sampling.attack.step_size": madry_step(eps, 15),
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
    commit()
    runs = [Run.open(path) for path in sorted(arguments.runs) if path.is_dir()]
    data = runs[0].data()
    judge = judge_from(arguments.judge, data) if arguments.judge else judge_for(data)
    eyes = open_eyes(judge, data)
    device = runs[0].device  # walks in the precision of training, whose noise FID does not see
    rows = []
    for sampler, fields in settings(
        runs[0].recipe, arguments.eps, arguments.factors, arguments.steps
    ):
        seen = []
        for run in runs:
            drawn = build_sampler(changed(run.recipe, fields), sampler, run.gaussian)
            figures = sampled_figures(
                run.model().to(device.name),
                drawn,
                eyes,
                count=arguments.n,
                classes=run.classes,
                generator=Generator(0),
                device=device,
            )
            seen.append(figures)
        row = {name: statistics.fmean(s[name] for s in seen) for name in FIGURES}
        rows.append({"sampler": sampler, **fields, **row})
        print(sampler, *fields.values(), {k: round(v, 3) for k, v in row.items()}, flush=True)
    write_json(
        arguments.out,
        {
            "command": command(),
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
