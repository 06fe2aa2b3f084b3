"""The rows of a benchmark: what is timed, and at which size."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache

import torch
from torch import Tensor

from jemstone.data import DataSet, Images
from jemstone.recipes import Recipe, changed, recipe_for
from jemstone.samplers import ClassGaussian

__all__ = [
    "CLASSES",
    "Work",
    "features_of",
    "gaussian_of",
    "images_of",
    "numbers_of",
    "recipe_of",
    "table",
]

CLASSES = 10
_STEPS = {"attack": (15,), "energy": (50,), "combined": (15, 50), "unconditional": (300,)}
_RECIPES = ("jempp", "robust-jem", "robust-classifier")


@dataclass(frozen=True)
class Work:
    """One row: what is timed, and at which size.

    Args:
        name: what is done, with what it is about after a colon.
        depth: of the wide ResNet.
        width: of it.
        norm: ``batch`` or ``none``.
        batch: B.
        bf16: whether ours runs in bfloat16; the baseline is float32 always.
        size: height and width of the images.
        steps: of a walk that are timed.
        slots: of the replay buffer.
    """

    name: str
    depth: int = 16
    width: int = 4
    norm: str = "batch"
    batch: int = 64
    bf16: bool = False
    size: int = 32
    steps: int = 4
    slots: int = 1000

    @property
    def kind(self) -> str:
        """What comes before the colon."""
        return self.name.partition(":")[0]

    @property
    def about(self) -> str:
        """What comes after the colon: a recipe, a sampler, a mode."""
        return self.name.partition(":")[2]

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W)."""
        return 3, self.size, self.size

    @property
    def passes(self) -> int | None:
        """Gradient passes of a walk in the call; None where there is more than a walk in it."""
        if self.name.startswith(("walk:", "attack:")):
            return self.steps
        return sum(self.lengths) if self.name.startswith("sampling:") else None

    @property
    def lengths(self) -> tuple[int, ...]:
        """Steps that are timed of each of the sampler's walks, in their true proportion."""
        whole = _STEPS[self.about]
        return tuple(max(1, round(n * self.steps / max(whole))) for n in whole)

    @property
    def extrapolated(self) -> float:
        """How many times longer the whole sampler is than the steps timed."""
        return sum(_STEPS[self.about]) / sum(self.lengths)


def table(quick: bool, bf16: bool, fp32: bool = True) -> Iterator[Work]:
    """Yield the rows.

    Args:
        quick: tiny sizes, to see that each row runs; its figures say nothing.
        bf16: whether to time in bfloat16.
        fp32: whether to time in float32.
    """
    precisions = [bf16 for bf16, asked in ((False, fp32), (True, bf16)) if asked]
    networks = ((10, 1),) if quick else ((10, 2), (16, 4))
    names = [
        *(f"iteration:{name}" for name in _RECIPES),
        *("walk:eval", "walk:batch"),
        *(f"sampling:{name}" for name in _STEPS),
        *("attack:plain", "attack:foolbox"),
    ]
    like = Work("", batch=4, size=8, steps=2, slots=20) if quick else Work("")
    steps = {} if quick else {"attack": 20, "sampling": 10}
    for lower in precisions:
        for depth, width in networks:
            for norm in ("batch", "none"):
                row = replace(like, depth=depth, width=width, norm=norm, bf16=lower)
                for name in names:
                    if name == "walk:batch" and norm == "none":
                        continue
                    row = replace(row, name=name)
                    yield replace(row, steps=steps.get(row.kind, like.steps))
    for name in ("init", "data", "features"):
        yield replace(like, name=name, depth=10, width=1)
    for lower in precisions if not quick else ():
        for mode in ("eval", "batch"):
            yield Work(f"walk:{mode}", batch=256, bf16=lower, steps=1)
            yield Work(f"walk:{mode}", 28, 10, bf16=lower, steps=1)
        yield Work("iteration:jempp", 28, 10, batch=16, bf16=lower)


@lru_cache(maxsize=1)
def gaussian_of(shape: tuple[int, int, int]) -> ClassGaussian:
    """Return statistics like those of photographs: only their size matters here."""
    channels, height, width = shape
    size = channels * height * width
    factors = torch.rand(CLASSES, size, size).tril_().mul_(0.3 / size**0.5)
    return ClassGaussian(torch.full((CLASSES, size), 0.5), factors, shape)


def images_of(work: Work, count: int) -> DataSet:
    """Return random images of the row's size, as a data set."""
    pixels = torch.randint(256, (count, *work.shape), dtype=torch.uint8)
    images = Images(pixels, torch.arange(count) % CLASSES)
    return DataSet("cifar10", images, images, tuple(map(str, range(CLASSES))), flip=True)


def recipe_of(work: Work, name: str) -> Recipe:
    """Return a recipe with the papers' constants and the row's sizes."""
    fields = {
        "network.depth": work.depth,
        "network.width": work.width,
        "network.norm": work.norm,
        "optimisation.batch_size": work.batch,
        "chains.size": work.slots,
    }
    return changed(recipe_for(name, "cifar10", "paper"), fields)


def numbers_of(work: Work, device: str) -> tuple[Tensor, Tensor]:
    """Return random images in [0, 1], and labels, on a device."""
    y = torch.arange(work.batch) % CLASSES
    return torch.rand(work.batch, *work.shape).to(device), y.to(device)


def features_of(work: Work) -> tuple[Tensor, Tensor]:
    """Return features of real images and of samples, float64 (40 B, 512) each."""
    count = 40 * work.batch
    return torch.rand(count, 512).double(), torch.rand(count, 512).double()
