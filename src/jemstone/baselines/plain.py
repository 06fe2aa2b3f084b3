"""The plain baseline of speed: JEM++'s training iteration, laid out as its paper's code is.

The algorithm is the library's; the manner is that of the published codes: float32 in NCHW, images
in [-1, 1], augmented one by one through PIL, every chain's start drawn one by one whether it is
used or not, batch norm in train mode while chains walk, graphs retained, and PYLD's inner steps
taken one after another through automatic differentiation. Nothing here is tuned, on purpose.

References:
    Yang & Ji, "JEM++: improved techniques for training JEM", 2021,
    https://arxiv.org/abs/2109.09032
    Madry et al., "Towards deep learning models resistant to adversarial attacks", 2018,
    https://arxiv.org/abs/1706.06083
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.distributions import MultivariateNormal

from jemstone.baselines.plain_network import PlainWideResNet

__all__ = [
    "PlainAttack",
    "PlainDraws",
    "PlainTraining",
    "PlainWalk",
    "plain_gaussians",
]


@dataclass(frozen=True)
class PlainWalk:
    """PYLD, its inner steps one by one; pixels in [-1, 1].

    Args:
        outer: passes through the network.
        inner: steps for each.
        step_size: of an inner step.
        clip: largest entry of the gradient.
        clamp: stay in the box.
    """

    outer: int = 10
    inner: int = 5
    step_size: float = 0.2
    clip: float = 1.0
    clamp: bool = True

    def __call__(self, network: PlainWideResNet, x: Tensor, y: Tensor | None = None) -> Tensor:
        """Walk uphill on the log density, in the mode that the network is in.

        Args:
            network: the energy.
            x: images (B, C, H, W).
            y: labels, int64 (B,); None for ``E(x)``.
        """
        x_k = x.clone().requires_grad_()
        p = None
        for _ in range(self.outer):
            value = network.log_density(x_k, y).sum()
            # The gradient at the image goes unused, as in the published code.
            torch.autograd.grad(value, [x_k], retain_graph=True)
            assert network.stem_out is not None
            assert network.stem_out.grad is not None
            p = network.stem_out.grad.detach()
            moving = x_k.detach().requires_grad_()
            for _ in range(self.inner):
                inner = (network.stem(moving) * p).sum()
                g = torch.autograd.grad(inner, [moving], retain_graph=True)[0]
                moving = moving.detach() + self.step_size * g.clamp(-self.clip, self.clip)
                moving = (moving.clamp(-1, 1) if self.clamp else moving).requires_grad_()
            x_k = moving.detach().requires_grad_()
        if p is not None and network.stem.weight.requires_grad:
            # Thrown away by the optimiser's next zero_grad; the published code does it.
            (-(network.stem(x_k.detach()) * p).sum()).backward()
        return x_k.detach()


@dataclass(frozen=True)
class PlainAttack:
    """PGD in an Linf ball; pixels in [-1, 1].

    Args:
        eps: radius.
        step_size: of a step.
        steps: how many.
        targeted: go towards the labels instead of away from them.
    """

    eps: float = 0.1
    step_size: float = 2.5 * 0.1 / 15
    steps: int = 15
    targeted: bool = False

    def __call__(self, network: nn.Module, x: Tensor, y: Tensor, start: Tensor) -> Tensor:
        """Attack in eval mode; the network is in its former mode afterwards.

        Args:
            network: the classifier.
            x: centres of the balls (B, C, H, W).
            y: labels, int64 (B,).
            start: where to begin, of ``x``'s shape.
        """
        training, sign = network.training, -1.0 if self.targeted else 1.0
        network.eval()
        attacked = start.detach()
        for _ in range(self.steps):
            attacked.requires_grad_()
            loss = F.cross_entropy(network(attacked), y)
            g = torch.autograd.grad(loss, attacked, retain_graph=False)[0]
            attacked = attacked.detach() + sign * self.step_size * g.sign()
            delta = torch.clamp(attacked - x, min=-self.eps, max=self.eps)
            attacked = torch.clamp(x + delta, min=-1, max=1).detach()
        network.train(training)
        return attacked


def plain_gaussians(means: Tensor, factors: Tensor) -> list[MultivariateNormal]:
    """Return one Gaussian per class, of statistics of images in [0, 1].

    Args:
        means: (K, D).
        factors: Cholesky factors (K, D, D).
    """
    return [
        MultivariateNormal(2 * mean - 1, scale_tril=2 * factor, validate_args=False)
        for mean, factor in zip(means, factors, strict=True)
    ]


class PlainDraws:
    """What an iteration draws, from torch's global state.

    Args:
        gaussians: of the classes.
        shape: (C, H, W).
    """

    def __init__(self, gaussians: list[MultivariateNormal], shape: tuple[int, int, int]) -> None:
        self.gaussians = gaussians
        self.shape = shape

    def labels(self, batch: int) -> Tensor:
        """Draw the chains' classes, int64 (batch,)."""
        return torch.randint(len(self.gaussians), (batch,))

    def slots(self, y: Tensor, per_class: int) -> Tensor:
        """Draw a slot of each class, int64 (B,)."""
        return y * per_class + torch.randint(per_class, (len(y),))

    def starts(self, y: Tensor) -> Tensor:
        """Draw a new chain for every label, image by image, (B, C, H, W)."""
        new = torch.zeros(len(y), *self.shape)
        for i in range(len(y)):
            new[i] = self.gaussians[int(y[i])].sample().view(self.shape)
        return new.clamp(-1, 1)

    def renewed(self, batch: int, share: float) -> Tensor:
        """Draw which chains begin anew: 1 or 0, (batch,)."""
        return (torch.rand(batch) < share).float()

    def attack_start(self, x: Tensor, eps: float) -> Tensor:
        """Draw a start in the ball and the box, of ``x``'s shape."""
        return (x + torch.empty_like(x).uniform_(-eps, eps)).clamp(-1, 1)


@dataclass
class PlainTraining:
    """The iteration: contrast data and chains, fit labels, move the weights.

    Args:
        network: what is trained.
        optimiser: of its weights.
        draws: the randomness.
        buffer: the chains, on the processor (N, C, H, W), class by class; None to leave the
            likelihood out.
        attack: on the labelled images; None for JEM++, which does not attack.
        reinit: chance that a chain begins anew.
        walk: of the chains.
    """

    network: PlainWideResNet
    optimiser: torch.optim.Optimizer
    draws: PlainDraws
    buffer: Tensor | None = None
    attack: PlainAttack | None = None
    reinit: float = 0.05
    walk: PlainWalk = field(default_factory=PlainWalk)

    def iteration(self, x: Tensor, labelled: Tensor, y: Tensor) -> dict[str, float]:
        """Do one iteration.

        Args:
            x: images of the likelihood, with their noise (B, C, H, W).
            labelled: images of the classifier (B, C, H, W).
            y: their labels, int64 (B,).

        Returns:
            The terms of the loss.
        """
        terms, loss = {}, x.new_zeros(())
        if self.buffer is not None:
            data = self.network.log_density(x).mean()
            samples = self._sampled(x, self.buffer)
            likelihood = self.network.log_density(samples).mean() - data
            loss = loss + likelihood
            terms["likelihood"] = likelihood.item()
        if self.attack is not None:
            start = self.draws.attack_start(labelled, self.attack.eps)
            labelled = self.attack(self.network, labelled, y, start)
        fit = F.cross_entropy(self.network(labelled), y)
        loss = loss + fit
        terms["fit"] = fit.item()
        if loss.abs().item() > 1e8:
            raise ArithmeticError("the plain iteration diverged")
        self.optimiser.zero_grad()
        loss.backward()
        self.optimiser.step()
        return terms

    def _sampled(self, x: Tensor, buffer: Tensor) -> Tensor:
        y = self.draws.labels(len(x))
        slots = self.draws.slots(y, len(buffer) // len(self.draws.gaussians))
        renewed = self.draws.renewed(len(x), self.reinit)[:, None, None, None].to(buffer.dtype)
        start = renewed * self.draws.starts(y) + (1 - renewed) * buffer[slots]
        norms = [m for m in self.network.modules() if isinstance(m, nn.BatchNorm2d)]
        # As costly as in the published code, where walks move the running statistics: ours do not.
        for norm in norms:
            norm.momentum = 0.0
        end = self.walk(self.network, start.to(x.device))
        for norm in norms:
            norm.momentum = 0.9
        buffer[slots] = end.cpu()
        return end
