"""What a judge has seen of a data set, kept beside the judges: large sets are looked at once."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jemstone.data import DataSet, Images, cache_folder, fingerprint
from jemstone.errors import Mistake
from jemstone.experiments.judge import Judge
from jemstone.files import read_tensors, write_tensors
from jemstone.metrics import Inception, Seen, agreement, inception_score, look, nearest_to

__all__ = ["FEATURES", "FEWEST", "Eyes", "look_once", "open_eyes", "refuse_few"]

FEATURES = ("judge", "inception")
"""Whose features figures of samples may stand on: the data's judge's, or Inception's."""

FEWEST = 20
"""Images that have an Inception score: two for each of its ten parts."""

_LEAST_PER_CLASS = 10  # samples
_LEAST_HELD_OUT = 6  # density's balls reach from a held-out image to its fifth neighbour

_LARGE = 5000  # images; fewer are looked at again
_BATCH = 256


def refuse_few(count: int, data: DataSet) -> None:
    """Refuse too few samples, or held-out images, for figures, before any is drawn.

    Args:
        count: of samples, as ``--n`` asks for.
        data: whose held-out images they are compared with.

    Raises:
        Mistake: saying how many there are to be.
    """
    least = _LEAST_PER_CLASS * len(data.classes)
    if count < least:
        raise Mistake(
            f"figures of {count} samples say little: --n is at least {least} here, "
            f"{_LEAST_PER_CLASS} a class"
        )
    held_out = data.test.labels
    if len(held_out) < _LEAST_HELD_OUT or int(held_out.bincount().max()) < 2:
        raise Mistake(
            f"{data.name} holds out {len(held_out)} images: figures of samples need "
            f"{_LEAST_HELD_OUT}, two of them of one class"
        )


@dataclass(frozen=True)
class Eyes:
    """A judge, and what it has seen to compare samples with.

    Args:
        judge: the eye.
        reference: held-out images.
        learnt: the images the model was trained on.
        yardstick: how near held-out images are to those.
    """

    judge: Judge | Inception
    reference: Seen
    learnt: Seen
    yardstick: dict[str, float]

    @property
    def told(self) -> dict[str, Any]:
        """Which judge it is, and how accurate on held-out images whose classes it knows."""
        seen = self.reference
        right = agreement(seen.logits, seen.labels) if seen.knows_classes else None
        return {"name": self.judge.name, "accuracy": right, "sha256": self.judge.sha256}

    @property
    def best_score(self) -> float | None:
        """The Inception score of real images, which is the scale of the samples'."""
        logits = self.reference.logits
        return inception_score(logits)[0] if len(logits) >= FEWEST else None


def look_once(
    images: Images,
    judge: Judge | Inception,
    key: str,
    cache: Path | None = None,
    progress: Callable[[str], None] = lambda line: None,
) -> Seen:
    """Show images to a judge, or remember what it saw of them.

    Features and logits are kept in float32, 4 (D + K) bytes an image, under the judge's digest
    and the set's. A file that is damaged, or of other images, is made anew.

    Args:
        images: a part of a data set.
        judge: the eye.
        key: tells this part from any other, as its set's fingerprint and its name.
        cache: folder of judges; by default that of :func:`jemstone.data.cache_folder`.
        progress: hears how long a first look will take.
    """
    if len(images) < _LARGE:
        return look(images, judge)
    digest = hashlib.sha256(f"{judge.name} {judge.sha256} {key}".encode()).hexdigest()[:16]
    path = (cache or cache_folder()) / "features" / f"{digest}.safetensors"
    try:
        kept = read_tensors(path)
        features, logits = kept["features"], kept["logits"]
        if len(features) == len(logits) == len(images):
            known = judge.knows_classes
            return Seen(features, logits, images.labels, images.pixels, judge.name, known)
    except (Mistake, KeyError):
        pass  # absent, or damaged: look
    began = time.perf_counter()

    def told(done: int) -> None:
        if done == _BATCH:
            minutes = (time.perf_counter() - began) * len(images) / done / 60
            progress(f"{judge.name} looks at {len(images):,} images, once: {minutes:.1f} min")

    seen = look(images, judge, _BATCH, told)
    write_tensors(path, {"features": seen.features, "logits": seen.logits})
    return seen


def open_eyes(
    judge: Judge | Inception,
    data: DataSet,
    learnt: DataSet | None = None,
    cache: Path | None = None,
    progress: Callable[[str], None] = lambda line: None,
) -> Eyes:
    """Let a judge look at what samples are compared with.

    Args:
        judge: the eye.
        data: whose held-out images are the reference.
        learnt: whose training images a model has learnt from; by default the same.
        cache: where it is kept what a judge has seen.
        progress: hears how long a first look will take.
    """
    own = learnt or data
    reference = look_once(data.test, judge, f"{fingerprint(data)} test", cache, progress)
    trained = look_once(own.train, judge, f"{fingerprint(own)} train", cache, progress)
    return Eyes(judge, reference, trained, nearest_to(trained, reference))
