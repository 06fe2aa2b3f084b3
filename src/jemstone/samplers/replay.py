"""Chains that live on: a replay buffer with slots for each class.

References:
    Tieleman, "Training restricted Boltzmann machines using approximations to the likelihood
    gradient", 2008 (persistent chains)
    Du & Mordatch, 2019, https://arxiv.org/abs/1903.08689 (the replay buffer)
"""

from __future__ import annotations

import torch
from torch import Tensor

from jemstone.errors import Mistake
from jemstone.types import EnergyModel, Generator, Init, Stage

__all__ = ["Persistent", "ReplayBuffer"]


class ReplayBuffer:
    """Keep ``size`` images, the same number of slots for each class.

    Args:
        init: what fills a slot at first, and whenever it is renewed.
        size: slots in all; rounded down to a multiple of ``classes``.
        classes: K.
        reinit: chance that a drawn chain is begun anew.
        generator: the randomness of the first filling.

    Raises:
        Mistake: for fewer slots than classes.
    """

    def __init__(
        self, init: Init, size: int, classes: int, reinit: float, generator: Generator
    ) -> None:
        if size < classes:
            raise Mistake(f"a replay buffer of {size} slots has none for some of {classes} classes")
        self.init = init
        self.reinit = reinit
        self.slots_per_class = size // classes
        labels = torch.arange(classes).repeat_interleave(self.slots_per_class)
        self.images = init(labels, generator)

    def __len__(self) -> int:
        return len(self.images)

    def draw(self, y: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
        """Draw one chain for each label, some of them begun anew.

        Args:
            y: labels, int64 (B,).
            generator: the randomness.

        Returns:
            The images (B, C, H, W), and their slots (B,) for :meth:`put`.
        """
        slots = generator.fold("slot").integers(len(y), self.slots_per_class, y.device)
        slots = y * self.slots_per_class + slots
        x = self.images[slots.to(self.images.device)].to(y.device)
        renewed = generator.fold("renew").uniform((len(y), 1), device=y.device)[:, 0] < self.reinit
        (places,) = renewed.nonzero(as_tuple=True)
        if len(places):
            x[places] = self.init(y[places], generator.fold("init").at(places))
        return x, slots

    def put(self, slots: Tensor, x: Tensor) -> None:
        """Keep images; where a slot was drawn twice, the later image stays.

        Args:
            slots: as :meth:`draw` returned them, int64 (B,).
            x: images (B, C, H, W).
        """
        # Assignment leaves the order of doubles open, so only the last of each is assigned.
        order = torch.arange(len(slots), device=slots.device)
        last = torch.zeros(len(self), dtype=order.dtype, device=slots.device)
        last = last.scatter_reduce(0, slots, order, "amax")
        kept = last[slots] == order
        self.images[slots[kept].to(self.images.device)] = x.detach()[kept].to(self.images)

    def state_dict(self) -> dict[str, Tensor]:
        """Return what a checkpoint keeps."""
        return {"images": self.images}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Restore what :meth:`state_dict` returned.

        Raises:
            Mistake: where the images have another shape.
        """
        if "images" not in state or state["images"].dtype != self.images.dtype:
            raise Mistake("the saved replay buffer holds no images")
        if state["images"].shape != self.images.shape:
            raise Mistake(
                f"the saved replay buffer has shape {tuple(state['images'].shape)}, "
                f"this one {tuple(self.images.shape)}"
            )
        self.images.copy_(state["images"])


class Persistent:
    """Draw images by walking on from where a buffer's chains stopped.

    Args:
        buffer: the chains.
        walk: what moves them.
    """

    def __init__(self, buffer: ReplayBuffer, walk: Stage) -> None:
        self.buffer = buffer
        self.walk = walk

    def __call__(self, model: EnergyModel, y: Tensor, generator: Generator) -> Tensor:
        """Draw one image for each label of ``y`` (B,), and keep it in the buffer."""
        x, slots = self.buffer.draw(y, generator.fold("draw"))
        x = self.walk(model, x, y, generator.fold("walk"))
        self.buffer.put(slots, x)
        return x
