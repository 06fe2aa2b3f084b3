"""Time one whole training step of the paper's own network: WRN-28-10, batch 64, bf16 or not.

    python benchmarks/paper_step.py --data-root DATA --out docs/results/paper-step.json

One step of Robust JEM is 15 passes of the attack, 10 of the walk and 3 that learn, and here the
figures of its log too.
"""

import argparse
import json
import resource
import tempfile
from pathlib import Path

import torch
from state import command, commit
from torch.utils.flop_counter import FlopCounterMode

from jemstone.data import load
from jemstone.experiments import begin
from jemstone.files import read_lines, write_json
from jemstone.recipes import build_model, changed, recipe_for
from jemstone.training import choose_device, processor


def flop_of(recipe, data):
    """Count what one image costs forward, twice its multiplications."""
    with torch.device("meta"), FlopCounterMode(display=False) as counter:
        build_model(recipe, data, seed=0)(torch.empty(1, *data.shape))
    return counter.get_total_flops()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-root")
    parser.add_argument("--recipe", default="robust-jem")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    commit()
    data = load("cifar10", arguments.data_root)
    paper = recipe_for(arguments.recipe, "cifar10", "paper")
    # One step, of a buffer that is filled at once; nothing else of the paper's budget is changed.
    recipe = changed(paper, {"optimisation.steps": 1, "chains.rank": 8, "chains.size": 64})
    device = choose_device(precision=arguments.precision)
    with tempfile.TemporaryDirectory() as folder:
        run = begin(Path(folder) / "run", recipe, data, root=arguments.data_root, device=device)
        run.train(data)
        rows = [json.loads(line) for line in read_lines(run.path / "metrics.jsonl") if line]
    seconds = next(row["seconds_per_step"] for row in rows if "seconds_per_step" in row)
    steps = round(paper.optimisation.epochs * (len(data.train) // paper.optimisation.batch_size))
    write_json(
        arguments.out,
        {
            "command": command(),
            "commit": commit(),
            "seed": 0,
            "samples": 1,
            "recipe": arguments.recipe,
            "network": "WRN-28-10, batch norm",
            "batch": paper.optimisation.batch_size,
            "walk_steps": paper.walk.steps,
            "attack_steps": paper.attack.steps,
            "precision": "bf16" if device.bf16 else "fp32",
            "machine": {
                "torch": torch.__version__,
                "processor": processor(),
                "threads": torch.get_num_threads(),
            },
            "flop_per_image": flop_of(paper, data),
            "seconds": seconds,
            "peak_gib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
            "steps_in_all": steps,
            "days_in_all": steps * seconds / 86400,
        },
    )
    print(f"{seconds:.1f} s a step")


if __name__ == "__main__":
    main()
