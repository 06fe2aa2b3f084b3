"""What a judge has seen of a data set, kept beside the judges: large sets are looked at once."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from pathlib import Path

from jemstone.data import Images
from jemstone.errors import Mistake
from jemstone.experiments.judge import Judge, cache_folder
from jemstone.files import read_tensors, write_tensors
from jemstone.metrics import Inception, Seen, look

__all__ = ["look_once"]

_LARGE = 5000  # images; fewer are looked at again
_BATCH = 256


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
        cache: folder of judges; by default that of :func:`cache_folder`.
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
