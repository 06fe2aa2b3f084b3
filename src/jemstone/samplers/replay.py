"""Chains that live on: a replay buffer with slots for each class.

References:
    Tieleman, "Training restricted Boltzmann machines using approximations to the likelihood
    gradient", 2008 (persistent chains)
    Du & Mordatch, 2019, https://arxiv.org/abs/1903.08689 (the replay buffer)
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from jemstone.errors import Mistake
from jemstone.types import EnergyModel, Generator, Init, Stage

__all__ = ["Persistent", "ReplayBuffer", "join_chains"]


def join_chains(shares: Sequence[Tensor], classes: int) -> Tensor:
    """Put together the chains that were dealt among processes, (K, slots of a class, C, H, W).

    >>> shares = [torch.tensor([[0.0], [2.0], [10.0], [12.0]]), torch.tensor([[1.0], [11.0]])]
    >>> join_chains(shares, 2).flatten(1).tolist()
    [[0.0, 1.0, 2.0], [10.0, 11.0, 12.0]]

    Args:
        shares: each process's images, class by class: of W shares, number r has slots
            r, r + W, r + 2W, ... of each class.
        classes: K.

    Raises:
        Mistake: where the shares do not fit together.
    """
    if any(len(share) % classes for share in shares):
        raise Mistake(f"the saved replay buffer is not of a shape for {classes} classes")
    by_class = [share.unflatten(0, (classes, -1)) for share in shares]
    slots = sum(share.shape[1] for share in by_class)
    whole: Tensor = by_class[0].new_empty(classes, slots, *shares[0].shape[1:])
    for rank, share in enumerate(by_class):
        part = whole[:, rank :: len(shares)]
        if part.shape != share.shape:
            raise Mistake("the saved replay buffer's parts are not of one shape")
        part.copy_(share)
    return whole


class ReplayBuffer:
    """Keep ``size`` images, the same number of slots for each class.

    Args:
        init: what fills a slot at first, and whenever it is renewed.
        size: slots in all; rounded down to a multiple of ``classes``.
        classes: K.
        reinit: chance that a drawn chain is begun anew.
        generator: the randomness of the first filling.
        share: which slots of each class are kept here; all by default. Processes that train
            together hold one buffer among them.

    Raises:
        Mistake: for fewer slots than classes, or an empty share.
    """

    def __init__(
        self,
        init: Init,
        size: int,
        classes: int,
        reinit: float,
        generator: Generator,
        share: slice = slice(None),
    ) -> None:
        slots = torch.arange(size // classes * classes).reshape(classes, size // classes)[:, share]
        if not slots.numel():
            among = f", dealt among {share.step} processes," if share.step else ""
            raise Mistake(
                f"a replay buffer of {size} slots{among} has none for some of {classes} classes"
            )
        self.init = init
        self.reinit = reinit
        self.classes = classes
        self.share = share
        self.slots_per_class = slots.shape[1]
        labels = torch.arange(classes).repeat_interleave(self.slots_per_class)
        self.numbers = slots.flatten()  # of these slots, among all processes'
        self.images = init(labels, generator.at(self.numbers))

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

    def renew(self, slots: Tensor, generator: Generator) -> None:
        """Begin chains anew, each of its class.

        Args:
            slots: whose, int64 (S,).
            generator: the randomness; a slot's draw depends on its number alone, which is the same
                however many processes hold the buffer.
        """
        slots = slots.to(self.images.device)
        if len(slots):
            numbers = self.numbers.to(slots.device)[slots]
            x = self.init(slots // self.slots_per_class, generator.at(numbers))
            self.images[slots] = x.to(self.images)

    def state_dict(self) -> dict[str, Tensor]:
        """Return what a checkpoint keeps."""
        return {"images": self.images}

    def dealt(self, *states: dict[str, Tensor]) -> Tensor:
        """Return this share of what processes kept, as many as they were, (slots, C, H, W).

        Args:
            states: what :meth:`state_dict` returned in each process in turn.

        Raises:
            Mistake: where the images have another shape.
        """
        for state in states:
            if "images" not in state or state["images"].dtype != self.images.dtype:
                raise Mistake("the saved replay buffer holds no images")
        saved = join_chains([state["images"] for state in states], self.classes)
        mine = saved[:, self.share].flatten(0, 1)
        if mine.shape != self.images.shape:
            raise Mistake(
                f"the saved replay buffer has shape {tuple(mine.shape)}, "
                f"this one {tuple(self.images.shape)}"
            )
        return mine

    def load_state_dict(self, *states: dict[str, Tensor]) -> None:
        """Restore this share of what :meth:`state_dict` returned, in as many processes as it was.

        Args:
            states: of each process in turn.

        Raises:
            Mistake: where the images have another shape.
        """
        self.images.copy_(self.dealt(*states))


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
