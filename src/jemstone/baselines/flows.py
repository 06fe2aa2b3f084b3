"""Flows of the paper's table: Glow and Residual Flow, thin adapters over normflows.

Layers and estimators are the library's; which noise and which probes they get is decided here,
since the library draws from the global states of torch and NumPy.

References:
    Dinh et al., "Density estimation using Real NVP", 2017, https://arxiv.org/abs/1605.08803
    Kingma & Dhariwal, "Glow: generative flow with invertible 1x1 convolutions", 2018,
    https://arxiv.org/abs/1807.03039
    Chen et al., "Residual flows for invertible generative modeling", 2019,
    https://arxiv.org/abs/1906.02735
    Stimper et al., "normflows: a PyTorch package for normalizing flows", 2023,
    https://arxiv.org/abs/2302.12014
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from jemstone.baselines.image_flow import Architecture, ImageFlow, Shape, library
from jemstone.baselines.residual_block import TERMS, ResidualBlock
from jemstone.data import Images
from jemstone.errors import unknown
from jemstone.types import Generator

__all__ = [
    "ESTIMATORS",
    "FLOWS",
    "FORMS",
    "Architecture",
    "Glow",
    "ImageFlow",
    "ResidualFlow",
    "bits",
    "bits_per_dim",
    "build_flow",
    "dequantised",
]

_LEVELS = 256  # of a byte
_BORDER = 0.05  # logit((1 - 2 b) x + b), as in the published code
_POWER_STEPS = 5  # towards the largest singular values, after each step of the optimiser


class Glow(ImageFlow):
    """Affine couplings, 1x1 convolutions and activation norms; half of each level is noise.

    Args:
        shape: (C, H, W) of the images.
        classes: K.
        architecture: L, K and hidden channels.
    """

    estimator = "exact"
    form = 2  # the first scaled by a sigmoid, which may be as near to 0 as it likes

    def __init__(self, shape: Shape, classes: int, architecture: Architecture) -> None:
        channels, height, width = shape
        levels = architecture.halvings(shape)
        shapes, flows = [], []
        nf = library()
        form = {"scale_map": "exp", "use_lu": False}  # LU calls the deprecated torch.lu
        for level in range(levels, 0, -1):  # the coarsest first, as the library wants them
            kept = channels * 2 ** (level + (level == levels))
            shapes.append((kept, height >> level, width >> level))
            blocks = [
                nf.flows.GlowBlock(channels * 2 ** (level + 1), architecture.hidden, **form)
                for _ in range(architecture.blocks)
            ]
            for block in blocks:
                coupling = block.flows[0].flows[1]
                coupling.param_map = _Bounded(coupling.param_map)
            flows.append([*blocks, nf.flows.Squeeze()])
        super().__init__(shapes, classes)
        merges = [nf.flows.Merge() for _ in range(levels - 1)]
        self.layers: Any = nf.MultiscaleFlow([], flows, merges)
        self.layers.q0 = self.bases

    def encode(self, x: Tensor, generator: Generator) -> tuple[list[Tensor], Tensor]:
        z, log_det = self.layers.inverse_and_log_det(x)
        return z, log_det

    def decode(self, z: list[Tensor]) -> Tensor:
        x: Tensor = self.layers.forward_and_log_det(z)[0]
        return x


class _Bounded(nn.Module):
    """The network of a coupling, its log scales limited to (-1, 1) by tanh, as RealNVP's.

    Glow scales by a sigmoid: near 0, it sends samples, or else encoded images, beyond all bounds.

    Args:
        net: of shifts and log scales, by turns.
    """

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, z: Tensor) -> Tensor:
        found = self.net(z)
        return torch.stack([found[:, 0::2], found[:, 1::2].tanh()], dim=2).flatten(1, 2)


class ResidualFlow(ImageFlow):
    """Residual blocks between activation norms, on logits of pixels; nothing is split off.

    The fully connected blocks at the end of the published network are left out.

    Args:
        shape: (C, H, W) of the images.
        classes: K.
        architecture: L, K and hidden channels.
    """

    estimator = f"power series of {TERMS} terms, one probe"

    def __init__(self, shape: Shape, classes: int, architecture: Architecture) -> None:
        nf = library()
        halvings = architecture.halvings(shape)
        layers: list[nn.Module] = [nf.transforms.Logit(_BORDER)]
        channels, height, width = shape
        for level in range(architecture.levels):
            if level or architecture.squeezed:
                if not halvings:
                    break
                halvings -= 1
                channels, height, width = 4 * channels, height // 2, width // 2
                layers.append(nf.flows.Squeeze())
            layers.append(nf.flows.ActNorm((channels, 1, 1)))
            for _ in range(architecture.blocks):
                layers.append(ResidualBlock((channels, height, width), architecture.hidden))
                layers.append(nf.flows.ActNorm((channels, 1, 1)))
        super().__init__([(channels, height, width)], classes)
        self.layers: Any = nn.ModuleList(layers)  # the library's are not annotated

    def encode(self, x: Tensor, generator: Generator) -> tuple[list[Tensor], Tensor]:
        total = x.new_zeros(len(x))
        for number, layer in enumerate(self.layers):
            if isinstance(layer, ResidualBlock):
                x, log_det = layer.encode(x, generator.fold(number))
            else:
                x, log_det = layer.inverse(x)
            total = total + log_det
        return [x], total

    def decode(self, z: list[Tensor]) -> Tensor:
        (x,) = z
        for layer in reversed(self.layers):
            x = layer.decode(x) if isinstance(layer, ResidualBlock) else layer(x)[0]
        return x

    def moved(self) -> None:
        library().utils.update_lipschitz(self, _POWER_STEPS)


_KINDS: dict[str, type[Glow | ResidualFlow]] = {"residual-flow": ResidualFlow, "glow": Glow}

FLOWS = tuple(_KINDS)
"""The names of the flows, in the order of the paper's table."""

ESTIMATORS = {name: kind.estimator for name, kind in _KINDS.items()}
"""How each computes the log-determinants that figures are made of."""

FORMS = {name: kind.form for name, kind in _KINDS.items()}
"""Which maps the weights of each are of: those of another form are refused."""


def build_flow(
    name: str, shape: Shape, classes: int, architecture: Architecture, seed: int
) -> ImageFlow:
    """Build a flow with random weights.

    Args:
        name: as in :data:`FLOWS`.
        shape: (C, H, W) of the images.
        classes: K.
        architecture: its size.
        seed: of the weights.

    Raises:
        Mistake: for an unknown name, images that cannot be halved, or without normflows.
    """
    if name not in _KINDS:
        raise unknown("flow", name, FLOWS)
    library()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(Generator(seed).fold("flow").seed)
        return _KINDS[name](shape, classes, architecture)


def dequantised(images: Tensor, generator: Generator) -> Tensor:
    """Spread each byte b over its share of [0, 1): ``(b + u) / 256`` with ``u ~ U[0, 1)``.

    Args:
        images: uint8 (B, C, H, W).
        generator: the randomness.
    """
    spread = generator.uniform(images.shape, device=images.device)
    # Bytes of colours may lie channel by channel; the flow library wants them row by row.
    return (images + spread).contiguous() / _LEVELS


def bits(log_prob: Tensor, dims: int) -> Tensor:
    """Turn the log density of spread bytes into bits for each byte: ``8 - log2 p(x) / D``, (B,).

    Args:
        log_prob: in nats, (B,).
        dims: D.
    """
    return math.log2(_LEVELS) - log_prob / (dims * math.log(2.0))


@torch.no_grad()
def bits_per_dim(
    flow: ImageFlow, images: Images, generator: Generator, batch_size: int = 100
) -> float:
    """Return the bits that ``p(x)``, told no label, spends on a byte: an upper bound on the best.

    Args:
        flow: in eval mode.
        images: held-out ones.
        generator: of the spread, and of the flow's estimator.
        batch_size: B.
    """
    device = next(flow.parameters()).device
    total, dims = 0.0, math.prod(images.shape)
    for places in torch.arange(len(images)).split(batch_size):
        here = generator.at(places)
        x = dequantised(images.bytes[places], here.fold("spread")).to(device)
        log_prob = flow.log_prob(x, None, here.fold("estimator"))
        total += float(bits(log_prob, dims).cpu().double().sum())
    return total / len(images)
