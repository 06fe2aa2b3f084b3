"""How often a model is right, and the logits that calibration and detection start from."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from jemstone.data import Images
from jemstone.errors import Mistake
from jemstone.metrics.batches import Deal, alone
from jemstone.nn.modes import held
from jemstone.types import EnergyModel

__all__ = ["accuracy", "agreement", "check_labels", "check_logits", "learnt_at", "predictions"]


def predictions(
    model: EnergyModel, images: Images, batch_size: int = 256, deal: Deal = alone
) -> Tensor:
    """Return the logits of all images, with the model in eval mode.

    Args:
        model: the classifier.
        images: N of them.
        batch_size: images in a pass.
        deal: who takes which batch.

    Returns:
        :math:`f(x)`, float32 (N, K), on the CPU.

    Raises:
        Mistake: where there are no images, or logits are not finite.
    """
    if not len(images):
        raise Mistake("there are no images to classify: give at least one")
    device = device_of(model)

    def answers(places: Tensor) -> Tensor:
        return model.logits(images.take(places).x.to(device)).float().cpu()

    with held(model), torch.no_grad():
        return check_logits(deal(answers, len(images), batch_size))


def accuracy(model: EnergyModel, images: Images, batch_size: int = 256) -> float:
    """Return the share of images that the model classifies as labelled, in eval mode.

    Args:
        model: the classifier.
        images: what it is asked about.
        batch_size: images in a pass.

    Raises:
        Mistake: where there are no images, logits are not finite, or labels are not of the
            model's classes.
    """
    return agreement(predictions(model, images, batch_size), images.labels)


def learnt_at(classes: int) -> float:
    r"""Return the accuracy that shows that something was learnt: :math:`2 / K`, or half of the way.

    >>> learnt_at(10), learnt_at(2)
    (0.2, 0.75)

    Args:
        classes: K.
    """
    return min(2.0 / classes, (1.0 + 1.0 / classes) / 2.0)


def agreement(logits: Tensor, labels: Tensor) -> float:
    r"""Return the share of images whose largest logit is the label's.

    Of a model's logits it is its accuracy; of a judge's logits on samples it tells how many show
    the class that they were meant to show.

    >>> agreement(torch.eye(3), torch.tensor([0, 1, 1]))
    0.6666666666666666

    Args:
        logits: (N, K).
        labels: int64 (N,).

    Raises:
        Mistake: where there are no images, logits are not finite, or labels are not of the K
            classes.
    """
    check_labels(labels, check_logits(logits))
    return float((logits.argmax(dim=-1) == labels).double().mean())


def check_logits(logits: Tensor) -> Tensor:
    """Return the logits, or refuse them.

    Args:
        logits: (N, K).

    Raises:
        Mistake: where one is not finite: its largest entry would still name a class.
    """
    if not logits.isfinite().all():
        raise Mistake("a logit is not finite: the model has diverged, or has broken weights")
    return logits


def check_labels(labels: Tensor, logits: Tensor) -> None:
    """Refuse labels that do not go with logits.

    Args:
        labels: int64 (N,).
        logits: (N, K).

    Raises:
        Mistake: for another length or type, no label at all, or one outside 0..K-1.
    """
    if labels.dtype != torch.int64 or labels.shape != logits.shape[:1] or not len(labels):
        raise Mistake(
            f"{len(logits)} images need as many int64 labels, at least one, "
            f"not {labels.dtype} of shape {tuple(labels.shape)}"
        )
    lowest, highest = (int(label) for label in labels.aminmax())
    if lowest < 0 or highest >= logits.shape[1]:
        raise Mistake(
            f"labels go from {lowest} to {highest}, but the model knows the classes "
            f"0..{logits.shape[1] - 1}: give it data of its own classes"
        )


def device_of(model: object) -> torch.device:
    """Return where a network's parameters are; the CPU where there are none."""
    parameters = model.parameters() if isinstance(model, nn.Module) else iter(())
    return next((p.device for p in parameters), torch.device("cpu"))
