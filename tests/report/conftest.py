"""What is made up: a walk, samples, ablations and stability."""

import pytest
import torch


def build_walk(classes=4, channels=1, size=8, attack=6, walk=10):
    """Make a walk up: images that come out of noise as their energies fall."""
    draws = torch.Generator().manual_seed(0)
    stages = ["init", *attack * ["attack"], "contrast", *walk * ["walk"]]
    share = torch.linspace(0, 1, len(stages))[:, None]
    noise = torch.rand(len(stages), classes, channels, size, size, generator=draws)
    face = torch.rand(classes, channels, size, size, generator=draws)
    mixed = noise + share[..., None, None, None] * (face - noise)
    rise = share.expand(-1, classes) + 0.1 * torch.rand(len(stages), classes, generator=draws)
    return {
        "labels": list(range(classes)),
        "stages": stages,
        "images": (mixed * 255).to(torch.uint8),
        "energy": -2.0 - 9.0 * rise,
        "probability": (0.1 + 0.85 * rise).clamp(0, 1),
        "class_names": [f"class {k}" for k in range(classes)],
    }


def build_samples(channels=1, size=8):
    x = torch.randint(0, 256, (12, channels, size, size), generator=torch.manual_seed(0))
    return x.to(torch.uint8), torch.arange(12) % 4


def ablation(name, what, field, values, chosen, trained=False):
    rows = []
    for sampler in ("combined",) if trained else ("energy", "combined"):
        for number, value in enumerate(values):
            fid = 3.0 + (number - 1) ** 2 + 3 * (sampler == "combined")
            row = {"value": value, "sampler": sampler, "is": 9.2 - fid / 9, "fid": fid}
            row |= {"recall": 0.7, "coverage": 0.8, "agreement": 0.96, "nearest": 1.1}
            row |= {"seconds_per_image": 0.02 * (number + 1), "passes_per_image": 30 + 20 * number}
            if number == 1:  # over seeds; others are of one
                row["se"] = {"fid": 0.25, "recall": 0.0125}
            rows.append(row | ({"accuracy": 0.97, "robust_accuracy": 0.8} if trained else {}))
    rows[-1] |= dict.fromkeys(
        ("is", "fid", "recall", "coverage", "agreement", "nearest")
    )  # exploded
    why = "FID is lowest there, and no other value costs less"
    return {
        "id": name,
        "what": what,
        "field": field,
        "default": values[0],
        "chosen": chosen,
        "why": why,
        "rows": rows,
    }


def stability(count=6):
    recipes = {}
    for name, odds in (("jempp", 2), ("robust-jem", 100)):
        runs = []
        for number in range(count):
            failed = number % odds == 1
            steps = list(range(0, 100 * (number + 2) if failed else 800, 50))
            runs.append(
                {
                    "seed": number,
                    "learning_rate": (0.05, 0.1)[number % 2],
                    "failed": failed,
                    "why": "energies of data and of samples parted" if failed else None,
                    "step": steps[-1] if failed else None,
                    "final_accuracy": None if failed else 0.96,
                    "curves": {
                        "step": steps,
                        "input_grad_norm": [
                            0.5 + (t / 90) ** (2 if failed else 0.5) for t in steps
                        ],
                        "energy_gap": [(t / 50) * (-1 if failed else 0.02) for t in steps],
                        "loss": [2.3 / (1 + t / 200) for t in steps],
                    },
                }
            )
        ends = sorted(run["step"] for run in runs if run["failed"])
        lost = len(ends)
        recipes[name] = {
            "runs": runs,
            "failure_rate": lost / count,
            "failure_curve": {
                "step": [0, *ends, 800],
                "share": [number / count for number in (*range(lost + 1), lost)],
            },
            "interval": [max(0.0, lost / count - 0.2), min(1.0, lost / count + 0.3)],
            "by_learning_rate": {
                "0.05": {"n": count // 2, "failed": 0, "interval": [0.0, 0.4]},
                "0.1": {
                    "n": count // 2,
                    "failed": lost,
                    "interval": [0.3, 1.0] if lost else [0.0, 0.4],
                },
            },
        }
    failure = "a loss that is not finite, or energies further apart than 100 nats"
    return {"recipes": recipes, "steps": 800, "failure_is": failure}


def build_studies():
    contrast, walk = [1.0, 0.9, 0.8], [5, 10, 20, 50]
    return {
        "ablations": [
            ablation("contrast", "Less contrast", "sampling.contrast.factor", contrast, 0.9),
            ablation("walk-steps", "Steps of the walk", "sampling.energy.steps", walk, 10),
            ablation("attack-norm", "Norm", "attack.norm", ["linf", "l2"], "linf", trained=True),
        ],
        "stability": stability(),
    }


@pytest.fixture
def studies():
    return build_studies


@pytest.fixture
def walk():
    return build_walk


@pytest.fixture
def samples():
    return build_samples
