"""Modes of a network: one mode inside the block, the former state after it.

A walk must not leave traces in the network it walks on: not in ``training`` flags, not in running
statistics. JEM++ samples with the network in train mode, so each walk step moves its running
statistics; here ``batch_statistics`` normalises by the batch and tracks nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

__all__ = ["MODES", "batch_statistics", "evaluating", "fixed", "held", "learning", "recalibrate"]


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """Hold the network in eval mode.

    Args:
        module: the network; its ``training`` flags are restored.
    """
    former = [m for m in module.modules() if m.training]
    for m in former:
        m.training = False
    try:
        yield
    finally:
        for m in former:
            m.training = True


@contextmanager
def batch_statistics(module: nn.Module) -> Iterator[None]:
    """Hold the network in eval mode, but let batch norm use the batch and track nothing.

    Args:
        module: the network; its ``training`` flags are restored, its statistics never moved.
    """
    norms = [m for m in module.modules() if isinstance(m, _BatchNorm)]
    tracked = [m.track_running_stats for m in norms]
    with evaluating(module):
        for m in norms:
            m.training, m.track_running_stats = True, False
        try:
            yield
        finally:
            for m, was in zip(norms, tracked, strict=True):
                m.training, m.track_running_stats = False, was


MODES: dict[str, Callable[[nn.Module], AbstractContextManager[None]]] = {
    "eval": evaluating,
    "batch": batch_statistics,
}


def held(model: object, mode: str = "eval") -> AbstractContextManager[None]:
    """Hold a model in a mode if it is a module; an energy without modules has no mode.

    Args:
        model: any energy or judge.
        mode: ``eval`` or ``batch``.
    """
    return MODES[mode](model) if isinstance(model, nn.Module) else nullcontext()


@contextmanager
def fixed(model: object) -> Iterator[None]:
    """Hold a model in eval mode with parameters that gather no gradient.

    For code of others that calls ``backward`` on images.

    Args:
        model: any energy or judge; ``training`` and ``requires_grad`` are restored.
    """
    parameters = model.parameters() if isinstance(model, nn.Module) else iter(())
    learning = [p for p in parameters if p.requires_grad]
    for p in learning:
        p.requires_grad_(False)
    try:
        with held(model):
            yield
    finally:
        for p in learning:
            p.requires_grad_(True)


@contextmanager
def learning(module: nn.Module) -> Iterator[None]:
    """Hold the network in a state to learn from passes that are differentiated by weights, once.

    A network that is faster then is what it was, to rounding; see :class:`jemstone.nn.WideResNet`.

    Args:
        module: the network; what it was before is restored.
    """
    able: list[Any] = [m for m in module.modules() if hasattr(m, "by_hand")]
    former = [m.by_hand for m in able]
    for m in able:
        m.by_hand = True
    try:
        yield
    finally:
        for m, was in zip(able, former, strict=True):
            m.by_hand = was


@torch.no_grad()
def recalibrate(module: nn.Module, batches: Iterable[Tensor]) -> None:
    """Set batch norm's running statistics to the plain average over clean batches.

    JEM++'s momentum of 0.9 leaves statistics of about one batch, in Robust JEM an adversarial one.
    A network without batch norm is left alone and no batch is read.

    Args:
        module: the network.
        batches: images (B, C, H, W) in [0, 1].
    """
    norms = [m for m in module.modules() if isinstance(m, _BatchNorm) and m.track_running_stats]
    if not norms:
        return
    momenta = [m.momentum for m in norms]
    with evaluating(module):
        for m in norms:
            m.reset_running_stats()
            m.momentum, m.training = None, True
        try:
            for x in batches:
                module(x)
        finally:
            for m, momentum in zip(norms, momenta, strict=True):
                m.momentum, m.training = momentum, False
