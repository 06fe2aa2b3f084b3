"""How good samples are, by the features and logits of a judge.

No figure stands alone: the Inception score rises with images that merely look sure of their class,
a Fréchet distance depends on how many images there are, and a model that recites its training set
does well in both. The figures of one judge compare with each other, never with another judge's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from jemstone.data import Images, to_bytes
from jemstone.errors import Mistake
from jemstone.functional.box import in_box
from jemstone.functional.statistics import (
    check,
    density_coverage,
    nearest_distances,
    within_class_spread,
)
from jemstone.metrics.classification import agreement, device_of
from jemstone.metrics.fidelity import (
    frechet_distance,
    inception_score,
    kernel_distance,
    precision_recall,
)
from jemstone.nn.modes import held
from jemstone.types import FeatureExtractor

__all__ = [
    "Seen",
    "compare",
    "judge_samples",
    "look",
    "nearest_neighbours",
    "nearest_to",
    "spread_ratio",
]


@dataclass(frozen=True)
class Seen:
    """Images as a judge sees them, looked at once and compared as often as one likes.

    Args:
        features: float32 (N, D).
        logits: float32 (N, K).
        labels: what the images are, or were meant to be, int64 (N,).
        pixels: uint8 (N, C, H, W).
        extractor: the judge's name.
        knows_classes: whether the logits are of the classes that the labels name.
    """

    features: Tensor
    logits: Tensor
    labels: Tensor
    pixels: Tensor
    extractor: str
    knows_classes: bool = True


def look(
    images: Images,
    extractor: FeatureExtractor,
    batch_size: int = 256,
    on_batch: Callable[[int], object] = lambda seen: None,
) -> Seen:
    """Show images to a judge, batch by batch: only bytes and features are held of all.

    Args:
        images: at least one.
        extractor: the judge; a network is held in eval mode, on the device where it is. One whose
            attribute ``knows_classes`` is false has logits of classes other than the images'.
        batch_size: images in a pass.
        on_batch: hears how many images have been seen.

    Raises:
        Mistake: where there are no images, or what the judge answers is not finite.
    """
    if not len(images):
        raise Mistake("there are no images to judge: give at least one")
    device = device_of(extractor)
    seen: tuple[Tensor, ...] = ()
    done = 0
    with held(extractor), torch.no_grad():
        for x, _ in images.batches(batch_size):
            answers = [answer.float().cpu() for answer in extractor(x.to(device))]
            seen = seen or tuple(a.new_empty(len(images), *a.shape[1:]) for a in answers)
            for whole, answer in zip(seen, answers, strict=True):
                whole[done : done + len(x)] = answer
            done += len(x)
            on_batch(done)
    features, logits = seen
    for whole in seen:
        check(f"the judge {extractor.name}", 1, whole)
    knows = getattr(extractor, "knows_classes", True)
    return Seen(features, logits, images.labels, images.bytes, extractor.name, knows)


def judge_samples(
    samples: Tensor,
    labels: Tensor,
    reference: Images,
    train: Images,
    extractor: FeatureExtractor,
    batch_size: int = 256,
) -> dict[str, Any]:
    """Compute every figure of a set of samples.

    Samples are rounded to bytes first, so that figures in memory are those of a saved file. Judge
    several sets against one reference with :func:`look` and :func:`compare`.

    Args:
        samples: (N, C, H, W), uint8, or floating point in [0, 1].
        labels: the classes they were meant to show, int64 (N,).
        reference: held-out images.
        train: the images the model has learnt from.
        extractor: the judge.
        batch_size: images in a pass.

    Returns:
        What :func:`compare` returns.

    Raises:
        Mistake: for pixels outside [0, 1] or not finite, and as :func:`compare` does.
    """
    if samples.is_floating_point():
        if not in_box(samples):
            raise Mistake("a sample has pixels outside [0, 1] or not finite: clamp before judging")
        samples = to_bytes(samples)
    images = Images(samples.cpu(), labels.cpu())
    if not images.shape == reference.shape == train.shape:
        raise Mistake(
            f"samples are {images.shape}, held-out images {reference.shape} and training images "
            f"{train.shape}: all need the same (C, H, W)"
        )
    seen, held_out, learnt = (
        look(part, extractor, batch_size) for part in (images, reference, train)
    )
    return compare(seen, held_out, learnt)


def compare(
    samples: Seen, reference: Seen, train: Seen, yardstick: Mapping[str, float] | None = None
) -> dict[str, Any]:
    """Compute every figure of samples that a judge has seen.

    Args:
        samples: the samples.
        reference: held-out images.
        train: the images the model has learnt from.
        yardstick: what :func:`nearest_to` says of the held-out images, where it is known.

    Returns:
        ``n``, ``features`` (the judge's name), ``is``, ``is_std``, ``fid``, ``kid``,
        ``precision``, ``recall``, ``density``, ``coverage``, ``agreement`` (None where the judge
        knows other classes), ``nearest_neighbour`` (see :func:`nearest_neighbours`) and
        ``spread`` (see :func:`spread_ratio`, of features and of pixels).

    Raises:
        Mistake: where the judges differ, or there are too few images for a figure.
    """
    judges = {seen.extractor for seen in (samples, reference, train)}
    if len(judges) > 1:
        raise Mistake(f"figures of several judges do not compare: {', '.join(sorted(judges))}")
    score, score_std = inception_score(samples.logits)
    precision, recall = precision_recall(reference.features, samples.features)
    density, coverage = density_coverage(reference.features, samples.features)
    return {
        "n": len(samples.labels),
        "features": samples.extractor,
        "is": score,
        "is_std": score_std,
        "fid": frechet_distance(reference.features, samples.features),
        "kid": kernel_distance(reference.features, samples.features),
        "precision": precision,
        "recall": recall,
        "density": density,
        "coverage": coverage,
        "agreement": agreement(samples.logits, samples.labels) if samples.knows_classes else None,
        "nearest_neighbour": nearest_neighbours(samples, reference, train, yardstick),
        "spread": {
            name: spread_ratio(mine, samples.labels, theirs, reference.labels)
            for name, mine, theirs in (
                ("feature", samples.features, reference.features),
                ("pixel", samples.pixels, reference.pixels),
            )
        },
    }


def nearest_neighbours(
    samples: Seen, reference: Seen, train: Seen, yardstick: Mapping[str, float] | None = None
) -> dict[str, float]:
    """Compute how near samples are to training images, with held-out images as the yardstick.

    A model that recites has a median far below the held-out images' own.

    Args:
        samples: the samples.
        reference: held-out images.
        train: the images the model has learnt from.
        yardstick: what :func:`nearest_to` says of the held-out images, where it is known.

    Returns:
        What :func:`nearest_to` says: ``pixel`` and ``feature`` of the samples,
        ``pixel_held_out`` and ``feature_held_out``.

    Raises:
        Mistake: where there are no training images.
    """
    held_out = nearest_to(train, reference) if yardstick is None else yardstick
    return {
        **nearest_to(train, samples),
        **{f"{space}_held_out": median for space, median in held_out.items()},
    }


def nearest_to(train: Seen, images: Seen) -> dict[str, float]:
    """Compute the medians of the Euclidean distance to the nearest training image.

    Args:
        train: the images a model has learnt from.
        images: whose neighbours are looked for.

    Returns:
        ``pixel``, in [0, 1] pixels, and ``feature``.

    Raises:
        Mistake: where there are no training images.
    """
    pixels = nearest_distances(images.pixels, train.pixels)
    features = nearest_distances(images.features, train.features)
    return {
        "pixel": float(pixels.quantile(0.5)) / 255.0,
        "feature": float(features.quantile(0.5)),
    }


def spread_ratio(fake: Tensor, fake_labels: Tensor, real: Tensor, real_labels: Tensor) -> float:
    """Divide the spread of samples within their classes by that of real images.

    Below 1 the samples of a class are too much alike, above 1 too diverse. A class counts where
    both kinds have two images of it.

    Args:
        fake: features or pixels of samples, (M, ...).
        fake_labels: int64 (M,).
        real: features or pixels of real images, (N, ...).
        real_labels: int64 (N,).

    Raises:
        Mistake: where no class counts, or the real images of a class do not differ.
    """
    shared = sorted(_repeated(fake_labels) & _repeated(real_labels))
    yardstick = within_class_spread(real, real_labels, shared)
    if yardstick == 0:
        raise Mistake("the real images of each class are all alike: a spread has no yardstick")
    return within_class_spread(fake, fake_labels, shared) / yardstick


def _repeated(labels: Tensor) -> set[int]:
    """Return the classes that have at least two images."""
    classes, counts = labels.unique(return_counts=True)
    return set(classes[counts > 1].tolist())
