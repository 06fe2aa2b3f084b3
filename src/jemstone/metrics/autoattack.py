"""AutoAttack by its authors' code, held to our units: an ensemble without knobs.

References:
    Croce & Hein, "Reliable evaluation of adversarial robustness with an ensemble of diverse
    parameter-free attacks", 2020, https://arxiv.org/abs/2003.01690
    Croce & Hein, "Minimally distorted adversarial examples with a fast adaptive boundary attack",
    2020, https://arxiv.org/abs/1907.02044
    Andriushchenko et al., "Square Attack: a query-efficient black-box adversarial attack via
    random search", 2020, https://arxiv.org/abs/1912.00049
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from jemstone.errors import Mistake, unknown
from jemstone.files import digest_of
from jemstone.functional.balls import L2, Ball, Linf
from jemstone.metrics.attacks import check_allowed, check_images
from jemstone.metrics.batches import Deal, alone
from jemstone.metrics.classification import check_labels
from jemstone.metrics.victim import Classifier, Victim
from jemstone.nn.modes import fixed
from jemstone.random import Generator

__all__ = ["PARTS", "SMALLEST_SIDE", "Remember", "autoattack", "parts_for"]

PARTS = ("apgd-ce", "apgd-t", "fab-t", "apgd-dlr", "fab", "square")
_STANDARD = ("apgd-ce", "apgd-t", "fab-t", "square")
_FEW_CLASSES = ("apgd-ce", "fab", "square")  # the targeted DLR loss wants four logits
_MOST_TARGETS = 9
_SEEDS = 2**31

SMALLEST_SIDE = 5
"""Pixels of an image's side that Square can tile in L2."""

Remember = Callable[[str, Callable[[], Any]], Any]
"""``remember(name, compute)``: what is known under the name, or what ``compute()`` returns now,
in JSON's types."""


def parts_for(classes: int) -> tuple[str, ...]:
    """Return the attacks of the standard version, or what is left of it below four classes.

    >>> parts_for(10)
    ('apgd-ce', 'apgd-t', 'fab-t', 'square')

    Args:
        classes: K.

    Raises:
        Mistake: for a single class, which nothing can be mistaken for.
    """
    if classes < 2:
        raise Mistake("AutoAttack needs a classifier of at least 2 classes")
    return _STANDARD if classes > 3 else _FEW_CLASSES


def autoattack(
    model: Classifier,
    x: Tensor,
    y: Tensor,
    threat: Ball,
    *,
    generator: Generator,
    parts: Sequence[str] | None = None,
    standing: Tensor | None = None,
    batch_size: int = 100,
    steps: int = 100,
    queries: int = 5000,
    remember: Remember = lambda name, compute: compute(),
    progress: Callable[[str], object] = lambda line: None,
    deal: Deal = alone,
) -> Tensor:
    """Tell which images stand after each part of AutoAttack, each met by all parts before it.

    The result is AutoAttack's only with the default steps and queries. Starts depend on the seed,
    the part and the batch, so figures repeat for one batch size. Nothing of a part is lost when a
    later one is interrupted, if ``remember`` keeps what it computed.

    References:
        Croce & Hein, 2020, https://arxiv.org/abs/2003.01690

    Args:
        model: logits (B, K) of images in [0, 1]; a module is held in eval mode.
        x: float32 (N, C, H, W) in [0, 1].
        y: labels, int64 (N,).
        threat: an Linf or L2 ball, of radius above 0.
        generator: the randomness.
        parts: of ``PARTS``, in order; by default the standard version's. ``("square",)`` is the
            black box alone.
        standing: the images to attack, bool (N,), others count as fallen; by default all.
        batch_size: images in a pass.
        steps: of APGD and FAB.
        queries: of Square.
        remember: is asked for each part and batch.
        progress: hears what is done next.
        deal: who takes which batch.

    Returns:
        Whether an image stands, bool (1 + parts, N), on the CPU: first clean, then after each
        part.

    Raises:
        Mistake: without the extra ``attack``; for pixels outside [0, 1], other labels than the
            model's, another ball, an unknown part, images too small for Square in L2, or a model
            that answers at random.
    """
    library = _library()
    victim = Victim(model)
    check_images(x)
    if not isinstance(threat, Linf | L2) or not threat.eps > 0:
        raise Mistake(f"AutoAttack knows Linf and L2 balls of a radius above 0, not {threat}")
    if isinstance(threat, L2) and min(x.shape[2:]) < SMALLEST_SIDE:
        raise Mistake(f"Square in L2 needs images of {SMALLEST_SIDE} x {SMALLEST_SIDE} at least")
    x, y = x.to(victim.device), y.to(victim.device)
    with fixed(victim.module):
        classes = _check_steady(victim, x[:batch_size], y[:batch_size])
        ensemble = _Ensemble(library, victim, threat, classes, steps, queries)

        def right(places: Tensor) -> Tensor:
            return victim.right(x[places], y[places]).cpu()

        def attacked(part: str, before: Tensor, places: Tensor) -> Tensor:
            after = before[places]
            left = places[after]
            if not len(left):
                return after
            progress(f"{part}, {threat}: {len(left)} images from number {int(left[0])} on")
            number = int(places[0]) // batch_size
            seed = generator.fold("autoattack", part, number).seed % _SEEDS
            name = f"{part} {steps} {queries} {threat} {seed} {_digest(left)}"
            there = left.to(victim.device)
            run = partial(ensemble.survivors, part, x[there], y[there], seed)
            return after.masked_scatter(after, torch.tensor(remember(name, run)))

        clean = deal(right, len(x), batch_size)
        rows = [clean if standing is None else clean & standing.cpu()]
        for part in parts_for(classes) if parts is None else parts:
            if part not in PARTS:
                raise unknown("part of AutoAttack", part, PARTS)
            rows.append(deal(partial(attacked, part, rows[-1]), len(x), batch_size))
    return torch.stack(rows)


def _library() -> Any:
    """Return the authors' class.

    Raises:
        Mistake: where it is not installed.
    """
    try:
        from pyautoattack import AutoAttack
    except ImportError as error:
        raise Mistake("AutoAttack is an extra: pip install 'jemstone[attack]'") from error
    return AutoAttack


@dataclass(frozen=True)
class _Ensemble:
    """The authors' attacks, one part at a time.

    Args:
        library: the authors' class.
        victim: the classifier.
        threat: the ball.
        classes: K.
        steps: of APGD and FAB.
        queries: of Square.
    """

    library: Any
    victim: Victim
    threat: Ball
    classes: int
    steps: int
    queries: int

    def survivors(self, part: str, x: Tensor, y: Tensor, seed: int) -> list[bool]:
        """Attack images (B, C, H, W) that are right; tell which still are, by our own look."""
        with _unharmed(self.victim.device):
            attack = self._build(part, seed)
            attacked, _ = attack.run_standard_evaluation(x.contiguous(), y, batch_size=len(x))
        check_images(attacked)
        check_allowed(attacked, x, self.threat)
        standing: list[bool] = self.victim.right(attacked, y).tolist()
        return standing

    def _build(self, part: str, seed: int) -> Any:
        """Return one part of the standard version, for this many classes."""
        attack = self.library(
            # A copy: Square writes into the logits it is given.
            lambda x: self.victim.logits(x).clone(),
            norm="Linf" if isinstance(self.threat, Linf) else "L2",
            eps=self.threat.eps,
            seed=seed,
            version="standard",
            device=self.victim.device,
        )
        attack.attacks_to_run = [part]
        targets = min(_MOST_TARGETS, self.classes - 1)
        attack.apgd_targeted.n_target_classes = attack.fab.n_target_classes = targets
        attack.square.n_queries = self.queries
        attack.fab.n_iter = self.steps
        for walk in (attack.apgd, attack.apgd_targeted):
            # What its constructor derives from the number of steps.
            walk.n_iter = walk.n_iter_orig = self.steps
            walk.n_iter_2 = max(int(0.22 * self.steps), 1)
            walk.n_iter_min = max(int(0.06 * self.steps), 1)
            walk.size_decr = max(int(0.03 * self.steps), 1)
        return attack


def _check_steady(victim: Victim, x: Tensor, y: Tensor) -> int:
    """Return the number of classes of a model that answers twice the same.

    Raises:
        Mistake: where it does not: a gradient is then one of many, and has to be averaged.
    """
    with torch.no_grad():
        first, second = victim.logits(x), victim.logits(x)
    check_labels(y, first)
    if not torch.allclose(first, second, rtol=1e-3, atol=1e-3 * float(first.abs().max())):
        raise Mistake("the model answers differently when asked twice: AutoAttack needs one answer")
    return first.shape[1]


@contextmanager
def _unharmed(device: torch.device) -> Iterator[None]:
    """Keep what the library takes for itself: torch's seeds, the trace function, the log."""
    trace, log = sys.gettrace(), logging.getLogger("auto-attack")
    quiet, log.disabled = log.disabled, True
    devices = [device] if device.type == "cuda" else []
    try:
        with torch.random.fork_rng(devices):
            yield
    finally:
        log.disabled = quiet
        sys.settrace(trace)


def _digest(places: Tensor) -> str:
    """Return a short name for some images."""
    return digest_of({"places": places})[:16]
