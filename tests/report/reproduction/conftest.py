"""A reproduction as ``table1.json`` has one, made up, and what may become of one."""

import copy

import pytest

SEEDS = (0, 1, 2)
HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>|`\n'\""
PAPER = {
    "residual-flow": ("Residual Flow", "residual-flow", "flow", 3.69, 46.40),
    "glow": ("Glow", "glow", "flow", 3.92, 48.90),
    "jempp": ("JEM++", "jempp", "energy", 7.54, 48.25),
    "robust-classifier": ("Robust classifier", "robust-classifier", "attack", 7.05, 85.12),
    "robust-jem-energy": ("Robust JEM, energy only", "robust-jem", "energy", 8.71, 41.17),
    "robust-jem-combined": ("Robust JEM, combined", "robust-jem", "combined", 9.28, 47.92),
}
FID = {  # by network: attack, energy, combined
    "jempp": (15.1, 16.2, 18.8),
    "robust-classifier": (6.9, 3.1, 7.0),
    "robust-jem": (6.6, 3.4, 7.3),
}
CLAIMS = (
    ("energy-fid", "Energy-only sampling beats JEM++ in FID", "41.17 against 48.25", "holds"),
    ("energy-is", "Energy-only sampling beats JEM++ in IS", "8.71 against 7.54", "holds"),
    ("combined-is", "Combined inference has the highest IS", "9.28", "inconclusive"),
    ("classifier-fid", "The classifier alone has the worst FID", "85.12", "fails"),
    ("stability", "Adversarial training makes JEM training stable", "no number", "holds"),
    ("diversity", "Its samples are less diverse", "no number", "inconclusive"),
)


def figure(mean, se=0.02, seeds=SEEDS):
    """A mean as many seeds give it; one seed has no standard error."""
    values = [mean + se * (number - 1) for number in range(len(seeds))]
    return {"mean": mean, "se": None if len(seeds) == 1 else se, "values": values}


def figures(fid, score, seeds=SEEDS):
    return {
        "is": figure(score, 0.041, seeds),
        "fid": figure(fid, 0.05 * fid, seeds),
        "kid": figure(fid / 100, 0.001, seeds),
        "precision": figure(0.81, 0.012, seeds),
        "recall": figure(0.9 - fid / 40, 0.011, seeds),
        "density": figure(0.93, 0.031, seeds),
        "coverage": figure(0.95 - fid / 50, 0.008, seeds),
        "agreement": figure(0.97, 0.004, seeds),
        "nearest": figure(1.08, 0.013, seeds),
        "spread": figure(0.77, 0.009, seeds),
        "feature_spread": None,
    }


COST = {
    "train_seconds": 312.5,
    "train_steps": 2000,
    "seconds_per_image": 0.0213,
    "passes_per_image": 115,
    "peak_bytes": 3 * 2**27,
}


def curves(seed, number):
    steps = list(range(0, 2000, 50))
    down = [2.3 / (1 + t / (120 + 90 * number)) + 0.05 * ((t + 7 * seed) % 3) for t in steps]
    kept = {
        "step": steps,
        "loss": down,
        "accuracy": [1 - d / 2.6 for d in down],
        "energy_data": [-2.3 - t / 400 for t in steps],
        "energy_samples": [-2.3 - t / 420 for t in steps],
        "input_grad_norm": [None, *(0.3 + d for d in down[1:])],
    }
    return kept | ({"robust_accuracy": [0.9 - d / 2.6 for d in down]} if number else {})


def matrix(seeds):
    cells = []
    for network, distances in FID.items():
        for sampler, fid in zip(("attack", "energy", "combined"), distances, strict=True):
            score = 9.0 - fid / 5 + 0.4 * (sampler == "combined")
            cells.append({"network": network, "sampler": sampler, **figures(fid, score, seeds)})
        if network != "robust-classifier":
            for sampler in ("unconditional", "buffer"):
                distance = 1.2 * distances[1] if sampler == "unconditional" else 2.0
                own = figures(distance, 8.1, seeds)
                cells.append({"network": network, "sampler": sampler, **own})
    for cell in cells:
        origin = "buffer" if cell["sampler"] == "buffer" else "scratch"
        cell |= {"origin": origin, "status": "done", "cost": COST}
    return cells


def build(seeds=SEEDS):
    """Make a whole reproduction up: rows, references, matrix, claims."""
    rows = []
    for name, (model, network, sampler, score, fid) in PAPER.items():
        own = figures(fid / 10, score, seeds)
        if network in FID:
            own = figures(
                FID[network][("attack", "energy", "combined").index(sampler)], score, seeds
            )
        flow, robust = sampler == "flow", network.startswith("robust")
        unconditional = figures(9.0, 7.2, seeds) | {"cost": COST}
        row = {
            "id": name,
            "model": model,
            "network": network,
            "sampler": sampler,
            "status": "done",
            "error": None,
            "seeds": list(seeds),
            "failed_seeds": {},
            **own,
            "accuracy": None if flow else figure(0.968, 0.0041, seeds),
            "robust_accuracy": figure(0.78 if robust else 0.31, 0.011, seeds) if not flow else None,
            "robust_attack": None if flow else "PGD-20 x2, linf 0.1",
            "bits_per_dim": figure(3.21, 0.02, seeds) if flow else None,
            "cost": COST,
            "unconditional": unconditional if name in ("jempp", "robust-jem-energy") else None,
            "paper": {"is": score, "fid": fid},
        }
        rows.append(row)
    few = len(seeds) < 3
    claims = [
        {
            "id": name,
            "claim": claim,
            "paper": paper,
            "measured": f"3.40 ± 0.21 against 16.2 ± 0.8 over {len(seeds)} seeds",
            "verdict": "inconclusive" if few else verdict,
            "interval": None
            if few
            else {"holds": [0.4, 1.9], "fails": [-3.0, -1.0]}.get(verdict, [-0.3, 0.5]),
            "better": "FID of JEM++ minus that of Robust JEM",
        }
        for name, claim, paper, verdict in CLAIMS
    ]
    networks = tuple(FID)
    return {
        "command": "jemstone reproduce --data digits --seeds 0 1 2 --out runs/table1",
        "commit": "0123456789abcdef0123456789abcdef01234567",
        "data": "digits",
        "budget": "quick",
        "seeds": list(seeds),
        "samples": 1000,
        "held_out": 360,
        "features": "convnet:digits:1a2b3c4d",
        "judge": {"name": "convnet:digits:1a2b3c4d", "accuracy": 0.986, "sha256": "1a2b3c4d" * 8},
        "reference_is": 9.41,
        "environment": {
            "torch": "2.8.0",
            "threads": 2,
            "device": "cpu",
            "bf16": False,
            "python": "3.11.9",
            "processor": "x86_64",
            "jemstone": "0.1.0",
        },
        "rows": rows,
        "references": [
            {"id": "init", "model": "class Gaussians (init)", **figures(4.9, 6.9, seeds)},
            {"id": "held-out", "model": "held-out images", **figures(0.4, 9.4, seeds)},
        ],
        "matrix": matrix(seeds),
        "claims": claims,
        "gradients": [
            {
                "network": network,
                "class_mean_alignment_log_p": figure(0.1 + 0.1 * number, 0.004, seeds),
                "margin_alignment": figure(1.2 + number, 0.05, seeds),
            }
            for number, network in enumerate(networks)
        ],
        "networks": [
            {
                "network": network,
                "status": "done",
                "runs": [{"seed": seed, "status": "done", "error": None} for seed in seeds],
                "accuracy": figure(0.968, 0.0041, seeds),
                "robust_accuracy": figure(0.61, 0.011, seeds),
            }
            for network in networks
        ],
        "controls": [
            {"network": "robust-jem", "sampler": "combined-clamped", **figures(7.9, 8.0, seeds)},
        ],
        "training": [
            {"network": network, "seed": seed, "curves": curves(seed, number)}
            for number, network in enumerate(networks)
            for seed in seeds
        ],
        "recipes": {
            "jempp": "name: jempp\nnetwork:\n  depth: 10\n",
            "robust-classifier": "name: robust-classifier\n",
            "robust-jem": "name: robust-jem\nattack:\n  eps: 0.1\n",
            "glow": "name: glow\n",
            "residual-flow": "name: residual-flow\n",
        },
    }


@pytest.fixture
def reproduction(studies):
    return lambda seeds=SEEDS: build(seeds) | studies()


def of_rows(result):
    """Cut the studies, which are the slow part of a page, away."""
    return result | {"ablations": None, "stability": None, "training": []}


def broken(result):
    """Let a row fail, another diverge, one lose a seed, and a cell go missing."""
    result = of_rows(copy.deepcopy(result))
    lost = dict.fromkeys(("is", "fid", "kid", "recall", "coverage", "agreement", "nearest"))
    by_id = {row["id"]: row for row in result["rows"]}
    by_id["glow"] |= lost | {"status": "skipped", "error": "needs normflows", "seeds": []}
    by_id["jempp"] |= lost | {"status": "diverged", "error": "loss is not finite", "seeds": []}
    by_id["jempp"] |= {"unconditional": None, "accuracy": None, "cost": None}
    by_id["robust-jem-energy"] |= {"seeds": [0, 2], "failed_seeds": {"1": "out of its mind"}}
    result["matrix"][0] |= lost | {"status": "failed", "error": "no such thing"}
    result["matrix"][1] |= {"seeds": [0, 2], "failed_seeds": {"1": "not enough of it"}}
    return result


def bare(result):
    """Keep rows alone, without what a first look at one row might lack."""
    kept = ("data", "budget", "seeds", "samples", "held_out", "features", "rows")
    return {name: result[name] for name in kept} | {"claims": [], "matrix": []}


VARIANTS = {
    "of rows": of_rows,
    "broken": broken,
    "bare": bare,
    "unlit": lambda result: of_rows(result) | {"gradients": None, "references": None},
}


@pytest.fixture(params=VARIANTS)
def variant(request):
    """What may become of a reproduction, studies aside."""
    return VARIANTS[request.param]


@pytest.fixture
def defaced():
    """Puts markup in the place of every word, but for what tells rows apart."""

    def deface(value):
        if isinstance(value, dict):
            return {name: deface(inner) for name, inner in value.items()}
        if isinstance(value, list):
            return [deface(inner) for inner in value]
        return HOSTILE if isinstance(value, str) else value

    def build(result):
        text = of_rows(deface(result))
        for row, own in zip(text["rows"], result["rows"], strict=True):
            row |= {"id": own["id"], "status": "failed"}
        return text | {"recipes": {HOSTILE: HOSTILE}, "environment": {HOSTILE: HOSTILE}}

    return build
