"""Lay out what a small budget was made of, what its networks' gradients say, and a paper's cost."""

import torch

from jemstone.experiments.reproduction.cells import sampler_of
from jemstone.experiments.reproduction.rows import MATRIX
from jemstone.recipes import recipe_for
from jemstone.samplers import ClassGaussian

# What is assumed of machines and tasks that were not measured.
H100 = 0.35 * 989e12  # a third of its dense bf16 peak, in FLOP a second
SHARED = 0.9  # of eight times the speed, on eight
IMAGENET = {"flop_per_image": 8.2e9, "images": 90 * 1.28e6}  # ResNet-50 at 224 pixels, 90 epochs
LEARNING = 3  # passes that weights learn from
SAMPLES = 50_000  # of each cell of the paper's matrix


def trials(results):
    """Lay out each trial: what was changed, and what came of it."""
    lines = ["| changed | accuracy | robust accuracy |", "|---|---|---|"]
    for name, row in results["rows"].items():
        figures = [f"{100 * row[key]:.1f}" for key in ("accuracy", "robust_accuracy")]
        cells = ["diverged"] * 2 if "diverged" in row else figures
        lines.append("| " + " | ".join([name, *cells]) + " |")
    file = f"results/{results['data']}-trials.json"
    return "\n".join(
        [
            *lines,
            "",
            f"`{results['data']}`, `{results['recipe']}`, {results['steps']} steps, one seed, "
            f"{results['held_out']:,} held-out images, {results['attack']}. "
            f"From [docs/{file}]({file}).",
        ]
    )


def gradients(results):
    """Lay out the alignments of each network's input gradients."""
    names = list(results["measures"])
    heads = ["network", "accuracy", *(name.replace("_", " ") for name in names)]
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    for run in results["runs"]:
        cells = [f"`{run['recipe']}`", f"{100 * run['accuracy']:.1f}"]
        cells += [f"{run[name]['mean']:.3f} ± {run[name]['se']:.3f}" for name in names]
        lines.append("| " + " | ".join(cells) + " |")
    file = f"results/gradients-{results['data']}.json"
    return "\n".join(
        [
            *lines,
            "",
            f"`{results['data']}`, budget `{results['runs'][0]['budget']}` of "
            f"{results['runs'][0]['step']:,} steps, one seed, "
            f"{results['n']:,} held-out images, mean ± standard error over them. "
            f"From [docs/{file}]({file}).",
        ]
    )


def sampling(results):
    """Return the FLOP of drawing the paper's matrix: passes of its samplers, forward and back."""
    anywhere = ClassGaussian(torch.zeros(1, 1), torch.zeros(1, 1, 1), (1, 1, 1))
    passes = 0
    for network in ("robust-classifier", "jempp", "robust-jem"):
        recipe = recipe_for(network, "cifar10", "paper")
        # Controls of the paper's painting are the rows themselves at its budget; a buffer is there.
        drawn = set(MATRIX[network]) - {"attack-paper", "combined-paper", "buffer"}
        passes += sum(sampler_of(recipe, sampler, anywhere).passes for sampler in drawn)
    return 2 * SAMPLES * passes * results["flop_per_image"]


def paper_size(results):
    """Lay out what training at the paper's size costs: measured here, and estimated elsewhere."""
    passes = results["attack_steps"] + results["walk_steps"]
    # A pass of a walk is forward and back to the images; one that learns is back to weights too.
    share = 2 * passes + 3 * LEARNING
    attack, walk = 2 * results["attack_steps"], 2 * results["walk_steps"]
    # Of Robust JEM, JEM++, the robust classifier and the plain one.
    shares = share, walk + 3 * LEARNING, attack + 3, 3
    step = results["batch"] * results["flop_per_image"] * share
    network = step * results["steps_in_all"]
    images = IMAGENET["images"] * IMAGENET["flop_per_image"]
    tasks = {
        "Robust JEM on CIFAR-10, WRN-28-10, 150 epochs": network,
        "all of `reproduce` on CIFAR-10, without the flows": sampling(results)
        + network * sum(shares) / share,
        "Robust JEM on ImageNet, ResNet-50, 90 epochs": images * share,
    }
    speed = step / results["seconds"]
    heads = ("task", "FLOP", "here, measured speed", "one H100, estimate", "eight, estimate")
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    for task, flop in tasks.items():
        hours = flop / H100 / 3600
        cells = [task, f"{flop:.1e}", f"{flop / speed / 86400:,.0f} days"]
        cells += [f"{hours:,.0f} hours", f"{hours / 8 / SHARED:,.1f} hours"]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(
        [
            *lines,
            "",
            f"One step of `{results['recipe']}` ({results['network']}, batch {results['batch']}, "
            f"{results['attack_steps']} passes of the attack, {results['walk_steps']} of the walk, "
            f"{LEARNING} that learn) took {results['seconds']:.0f} s in {results['precision']} on "
            f"{results['machine']['threads']} threads: {speed / 1e12:.2f} TFLOP/s, with "
            "class Gaussians of rank 8 and 64 chains, on which a step's time does not depend. "
            "From [docs/results/paper-step.json](results/paper-step.json). An H100 was not "
            f"measured: it is assumed to reach {H100 / 1e12:.0f} TFLOP/s, a little over a third of "
            f"its peak in bf16, and eight of them {8 * SHARED:.1f} times that.",
        ]
    )
