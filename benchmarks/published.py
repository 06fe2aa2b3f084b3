"""Time a training iteration of JEM++'s published code beside the plain baseline's.

    git clone https://github.com/sndnyang/JEMPP
    python benchmarks/published.py --code JEMPP --out docs/results/published.json

Both do the same: a batch from the same loader, ten PYLD passes of five inner steps from the replay
buffer, two losses, one step of SGD. The published code is imported and is not changed; what its
`main` does between the data and the optimiser is repeated here call by call, without its prints.
Rounds are interleaved. About five minutes on a machine that does nothing else.
"""

import argparse
import itertools
import platform
import statistics
import subprocess
import sys
import time
import types
from pathlib import Path

import torch
from state import command, commit
from torch import nn

from jemstone.baselines.plain_data import PlainImages
from jemstone.experiments.bench.plain import baseline
from jemstone.experiments.bench.work import CLASSES, Work, gaussian_of, images_of
from jemstone.files import write_json
from jemstone.memory import keep_freed_memory
from jemstone.training import Device, processor

NETWORKS = ((10, 2), (16, 4))
LOGGERS = ("tensorboardX", "GPUtil")  # imported by the published code, and not called here


def published(work, code):
    """Return a call that does one iteration of the published code."""
    sys.path.insert(0, str(code))
    for name in LOGGERS:
        sys.modules.setdefault(name, types.ModuleType(name))
    import train_jempp
    from models.jem_models import get_model_and_buffer

    settings = types.SimpleNamespace(
        batch_size=work.batch,
        buffer_size=work.slots,
        depth=work.depth,
        device=torch.device("cpu"),
        dropout_rate=0.0,
        eps=1,
        load_path=None,
        model="yopo",
        n_classes=CLASSES,
        norm=work.norm,
        pyld_lr=0.2,
        reinit_freq=0.05,
        sgld_lr=0.0,
        sgld_std=0.0,
        uncond=False,
        dataset="cifar10",
        width=work.width,
    )
    train_jempp.args = settings
    gaussian = gaussian_of(work.shape)
    train_jempp.conditionals = [
        torch.distributions.MultivariateNormal(2 * mean - 1, scale_tril=2 * factor)
        for mean, factor in zip(gaussian.means, gaussian.factors, strict=True)
    ]
    network, buffer = get_model_and_buffer(settings, settings.device)
    network.train()
    optimiser = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9, weight_decay=4e-4)
    images = images_of(work, 2 * work.batch).train
    data = PlainImages(images.pixels.permute(0, 2, 3, 1).numpy(), images.labels.numpy())
    loader = torch.utils.data.DataLoader(data, work.batch, shuffle=True, drop_last=True)
    unlabelled, labelled = batches(loader), batches(loader)

    def iteration():
        x, _ = next(unlabelled)
        x_labelled, y = next(labelled)
        on_data = network(x).mean()
        samples = train_jempp.sample_q(network, buffer, n_steps=10, in_steps=5, args=settings)
        loss = network(samples).mean() - on_data
        loss = loss + nn.CrossEntropyLoss()(network.classify(x_labelled), y)
        if loss.abs().item() > 1e8:
            raise ArithmeticError("the published iteration diverged")
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()

    return iteration


def batches(loader):
    """Yield batches for ever, each loaded anew."""
    while True:
        yield from loader


def raced(calls, rounds):
    """Return seconds of each call in each round, after one that warms up."""
    taken = {name: [] for name in calls}
    for number in range(rounds + 1):
        for name, call in calls.items():
            began = time.perf_counter()
            call()
            if number:
                taken[name].append(time.perf_counter() - began)
    return taken


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--code", type=Path, required=True, help="a clone of the published code")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    commit()
    git = ["git", "-C", str(arguments.code), "rev-parse", "HEAD"]
    theirs = subprocess.run(git, capture_output=True, text=True, check=True).stdout.strip()
    keep_freed_memory()
    torch.manual_seed(0)
    rows = []
    for (depth, width), norm in itertools.product(NETWORKS, ("batch", "none")):
        work = Work("iteration:jempp", depth, width, norm, arguments.batch)
        calls = {
            "published": published(work, arguments.code),
            "plain": baseline(work, Device("cpu")),
        }
        taken = raced(calls, arguments.rounds)
        ratios = [a / b for a, b in zip(taken["published"], taken["plain"], strict=True)]
        row = {"network": f"wrn-{depth}-{width}", "norm": norm, "batch": work.batch}
        row |= {f"{name}_s": statistics.median(seconds) for name, seconds in taken.items()}
        row |= {"ratio": statistics.median(ratios), "spread": [min(ratios), max(ratios)]}
        rows.append(row)
        print(row, flush=True)
    write_json(
        arguments.out,
        {
            "command": command(),
            "commit": commit(),
            "published": {"code": "https://github.com/sndnyang/JEMPP", "commit": theirs},
            "seed": 0,
            "rounds": arguments.rounds,
            "machine": {
                "torch": torch.__version__,
                "threads": torch.get_num_threads(),
                "device": "cpu, fp32",
                "processor": processor(),
                "python": platform.python_version(),
            },
            "rows": rows,
        },
    )


if __name__ == "__main__":
    main()
