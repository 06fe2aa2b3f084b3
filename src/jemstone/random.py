"""Randomness as an argument: draws that depend on (seed, image number) alone.

A counter-based generator (as Salmon et al., "Parallel random numbers: as easy as 1, 2, 3",
SC 2011; mixing function: SplitMix64, Steele, Lea & Flood, OOPSLA 2014). It has no state, so
image *i* gets the same noise in every batch size and after every resume, on every device the same
words, and normals up to rounding; a whole batch is drawn in a handful of tensor operations.
"""

from __future__ import annotations

import math
import zlib
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

__all__ = ["Generator"]

_GOLDEN = 0x9E3779B97F4A7C15
_MASK = 0xFFFFFFFFFFFFFFFF
_MULTIPLIERS = (0xBF58476D1CE4E5B9, 0x94D049BB133111EB)
_SHIFTS = (30, 27, 31)


def _signed(word: int) -> int:
    """Read 64 bits as torch's int64 does."""
    return word - (1 << 64) if word >> 63 else word


def _mix_int(word: int) -> int:
    word = ((word ^ (word >> _SHIFTS[0])) * _MULTIPLIERS[0]) & _MASK
    word = ((word ^ (word >> _SHIFTS[1])) * _MULTIPLIERS[1]) & _MASK
    return word ^ (word >> _SHIFTS[2])


def _xorshift(words: Tensor, shift: int) -> Tensor:
    # torch shifts int64 arithmetically; the mask makes it the logical shift of SplitMix64.
    return words ^ ((words >> shift) & ((1 << (64 - shift)) - 1))


def _mix(words: Tensor) -> Tensor:
    words = _xorshift(words, _SHIFTS[0]) * _signed(_MULTIPLIERS[0])
    words = _xorshift(words, _SHIFTS[1]) * _signed(_MULTIPLIERS[1])
    return _xorshift(words, _SHIFTS[2])


@dataclass(frozen=True)
class Generator:
    """A seed that is spent image by image.

    The generator has no state: asked twice, it answers the same. Ask ``fold`` for an independent
    stream, as one folds in the number of a step:

    >>> noise = Generator(0).fold(7).normal((2, 3))
    >>> bool((noise == Generator(0).fold(7).normal((2, 3))).all())
    True
    >>> second = Generator(0).fold(7).at(torch.tensor([1])).normal((1, 3))
    >>> bool((noise[1:] == second).all())  # image 1 alone, or image 1 of a batch
    True

    Args:
        seed: any integer.
        images: the numbers (B,) of the batch's images; by default 0, 1, ..., B - 1.
    """

    seed: int
    images: Tensor | None = field(default=None, compare=False, repr=False)

    def fold(self, *path: int | str) -> Generator:
        """Return the stream that ``path`` names, independent of every other path's.

        Args:
            path: words or numbers, as the name of a purpose or the number of a step.
        """
        seed = self.seed & _MASK
        for part in path:
            number = zlib.crc32(part.encode()) if isinstance(part, str) else part
            seed = _mix_int((_mix_int(seed) + (number + 1) * _GOLDEN) & _MASK)
        return replace(self, seed=seed)

    def at(self, images: Tensor) -> Generator:
        """Return the generator of some images of the batch.

        Args:
            images: their places in the batch, int64 (B',).
        """
        return replace(self, images=images if self.images is None else self.images[images])

    def words(self, batch: int, count: int, device: torch.device | str = "cpu") -> Tensor:
        """Draw random words of 64 bits, int64 (batch, count).

        Args:
            batch: B.
            count: words for each image.
            device: of the answer.

        Raises:
            ValueError: where the generator is for another number of images.
        """
        images = self.images
        if images is None:
            images = torch.arange(batch)
        elif len(images) != batch:
            raise ValueError(f"the generator is for {len(images)} images, not for {batch}")
        key = _mix_int(_mix_int(self.seed & _MASK) ^ _GOLDEN)
        start = _mix(images.to(device) * _signed(_GOLDEN) + _signed(key))
        steps = torch.arange(1, count + 1, device=device) * _signed(_GOLDEN)
        return _mix(start[:, None] + steps)

    def uniform(
        self,
        shape: tuple[int, ...] | torch.Size,
        *,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ) -> Tensor:
        """Draw from ``U[0, 1)``, one row per image; 24 random bits each.

        Args:
            shape: (B, ...).
            dtype: of the answer; the draw itself is float32.
            device: of the answer.
        """
        size = math.prod(shape[1:])
        high, low = self._halves(shape[0], (size + 1) // 2, device)
        draws = torch.cat([high, low], dim=1)[:, :size] * 2.0**-24
        return draws.reshape(shape).to(dtype)

    def normal(
        self,
        shape: tuple[int, ...] | torch.Size,
        *,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ) -> Tensor:
        """Draw from ``N(0, 1)`` by Box and Muller's transform, one row per image.

        Args:
            shape: (B, ...).
            dtype: of the answer; the draw itself is float32.
            device: of the answer.
        """
        size = math.prod(shape[1:])
        high, low = self._halves(shape[0], (size + 1) // 2, device)
        radius = torch.sqrt(-2.0 * torch.log((high + 1.0) * 2.0**-24))
        angle = low * (2.0**-24 * 2.0 * math.pi)
        draws = torch.cat([radius * torch.cos(angle), radius * torch.sin(angle)], dim=1)
        return draws[:, :size].reshape(shape).to(dtype)

    def integers(self, batch: int, high: int, device: torch.device | str = "cpu") -> Tensor:
        """Draw from ``{0, ..., high - 1}``, one for each image, int64 (batch,).

        Args:
            batch: B.
            high: one more than the largest answer.
            device: of the answer.
        """
        # 53 bits against `high` below 2^31: the bias is under 2^-22.
        return (self.words(batch, 1, device)[:, 0] & ((1 << 53) - 1)) % high

    def permutation(self, size: int) -> Tensor:
        """Draw an order of ``size`` things, int64 (size,).

        Args:
            size: how many; the images' numbers do not matter here.
        """
        return torch.argsort(replace(self, images=None).words(size, 1)[:, 0], stable=True)

    def _halves(self, batch: int, count: int, device: torch.device | str) -> tuple[Tensor, Tensor]:
        """Split each word into two float32 integers of 24 bits, (batch, count) each."""
        words = self.words(batch, count, device)
        bits = (1 << 24) - 1
        return ((words >> 32) & bits).float(), (words & bits).float()
