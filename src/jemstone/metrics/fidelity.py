"""Figures of features and logits, by torch-fidelity: in float64, seeded, and without its prints.

torch-fidelity is imported where it is used, since it brings all of torchvision.

References:
    Salimans et al., "Improved techniques for training GANs", 2016,
    https://arxiv.org/abs/1606.03498
    Heusel et al., "GANs trained by a two time-scale update rule converge to a local Nash
    equilibrium", 2017, https://arxiv.org/abs/1706.08500
    Bińkowski et al., "Demystifying MMD GANs", 2018, https://arxiv.org/abs/1801.01401
    Kynkäänniemi et al., "Improved precision and recall metric for assessing generative models",
    2019, https://arxiv.org/abs/1904.06991
"""

from __future__ import annotations

from typing import Any

from torch import Tensor

from jemstone.functional.moments import moments
from jemstone.functional.statistics import check, checked

__all__ = ["frechet_distance", "inception_score", "kernel_distance", "precision_recall"]

# torch-fidelity's own default; any other would do, as long as it stays.
_SEED = 2020
_CHUNK = 4096  # images whose features are in float64 at a time


def inception_score(logits: Tensor, splits: int = 10) -> tuple[float, float]:
    r"""Compute :math:`\exp \mathbb{E}_x \, KL(p(y|x) \,\|\, p(y))` over parts of the samples.

    References:
        Salimans et al., 2016, https://arxiv.org/abs/1606.03498

    Args:
        logits: the judge's, of the samples, (N, K).
        splits: parts, each with a :math:`p(y)` of its own; chosen by a fixed seed.

    Returns:
        Mean and standard deviation over the parts; between 1 and K.

    Raises:
        Mistake: for fewer than two samples a part, or logits that are not finite.
    """
    from torch_fidelity.metric_isc import isc_features_to_metric

    (logits,) = checked(f"an Inception score over {splits} parts", 2 * splits, logits)
    # Below e^-700 a probability would round to 0, and 0 log 0 to NaN.
    logits = (logits - logits.amax(dim=1, keepdim=True)).clamp_min(-700.0)
    found = isc_features_to_metric(logits, splits, shuffle=True, rng_seed=_SEED)
    return float(found["inception_score_mean"]), float(found["inception_score_std"])


def frechet_distance(real: Tensor, fake: Tensor) -> float:
    r"""Compute :math:`\|\mu - \mu'\|^2 + \mathrm{tr}(\Sigma + \Sigma' - 2 (\Sigma \Sigma')^{1/2})`.

    Biased: with fewer images it is larger. Only figures of equal N compare. Means and covariances
    are added up in chunks, so float64 holds a chunk and D x D numbers, however many images.

    References:
        Heusel et al., 2017, https://arxiv.org/abs/1706.08500

    Args:
        real: features of real images, (N, D).
        fake: features of samples, (M, D).

    Raises:
        Mistake: for fewer than two images, or features that are not finite.
    """
    from torch_fidelity.metric_fid import fid_statistics_to_metric

    check("a Fréchet distance", 2, real, fake)
    found = fid_statistics_to_metric(*(_statistics(part) for part in (real, fake)), verbose=False)
    # Of a set and itself, rounding may leave it a hair below zero.
    return max(0.0, float(found["frechet_inception_distance"]))


def _statistics(features: Tensor) -> dict[str, Any]:
    """Return what torch-fidelity makes a distance of."""
    found = moments(features.split(_CHUNK))
    return {"mu": found.mean.numpy(), "sigma": found.covariance.numpy()}


def kernel_distance(
    real: Tensor, fake: Tensor, *, subsets: int = 100, subset_size: int = 1000
) -> float:
    r"""Compute the squared MMD with the kernel :math:`(\langle f, g \rangle / D + 1)^3`.

    Unbiased, so it may fall below zero; the mean over subsets chosen by a fixed seed.

    References:
        Bińkowski et al., 2018, https://arxiv.org/abs/1801.01401

    Args:
        real: features of real images, (N, D).
        fake: features of samples, (M, D).
        subsets: how many.
        subset_size: images of each kind in a subset; at most as many as there are.

    Raises:
        Mistake: for fewer than two images, or features that are not finite.
    """
    from torch_fidelity.metric_kid import kid_features_to_metric

    real, fake = checked("a kernel distance", 2, real, fake)
    size = min(subset_size, len(real), len(fake))
    if size == len(real) == len(fake):
        subsets = 1  # every subset is the whole
    found = kid_features_to_metric(
        fake, real, kid_subsets=subsets, kid_subset_size=size, rng_seed=_SEED, verbose=False
    )
    return float(found["kernel_inception_distance_mean"])


def precision_recall(real: Tensor, fake: Tensor, k: int = 3) -> tuple[float, float]:
    """Compute the share of samples near real images, and of real images near samples.

    Near: within a ball around an image that reaches its k-th nearest neighbour among its own kind.

    References:
        Kynkäänniemi et al., 2019, https://arxiv.org/abs/1904.06991

    Args:
        real: features of real images, (N, D).
        fake: features of samples, (M, D).
        k: the neighbour that a ball reaches.

    Returns:
        Precision and recall.

    Raises:
        Mistake: for fewer than k + 1 images of a kind, or features that are not finite.
    """
    from torch_fidelity.metric_prc import prc_features_to_metric

    real, fake = checked("precision and recall", k + 1, real, fake)
    found = prc_features_to_metric(
        fake, real, prc_neighborhood=k, prc_batch_size=1024, save_cpu_ram=True, verbose=False
    )
    return float(found["precision"]), float(found["recall"])
