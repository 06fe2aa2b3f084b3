"""A hundred classes of 64x64 colour images take the memory that docs/gaussians.md states.

Measured in a process of its own: one that has run other tests may have had as much before.
"""

import subprocess
import sys

import numpy as np
import pytest
import torch

from jemstone.experiments.reproduction.peak import read_peak
from jemstone.functional.gaussian import count_numbers
from jemstone.random import Generator
from jemstone.samplers import ClassGaussian
from jemstone.training import Device

CLASSES, EACH, RANK, SHAPE = 100, 70, 64, (3, 64, 64)


def peak():
    """Return the most memory that this process had, in bytes; None where that is not known."""
    return read_peak(Device(), known=True)


def measure():
    """Return the bytes that a fit and a draw of each class add to the peak."""
    labels = torch.arange(CLASSES).repeat_interleave(EACH)
    # Drawn as bytes: floats would have been the peak already.
    drawn = np.random.default_rng(0).integers(0, 256, (len(labels), *SHAPE), dtype=np.uint8)
    pixels, before = torch.from_numpy(drawn), peak()
    gaussian = ClassGaussian.fit(pixels, labels, CLASSES, rank=RANK)
    images = gaussian(torch.arange(CLASSES), Generator(0))
    assert images.shape == (CLASSES, *SHAPE)
    assert images.isfinite().all()
    return peak() - before


@pytest.mark.slow
@pytest.mark.skipif(peak() is None, reason="this system does not tell a process's peak memory")
def test_a_hundred_classes_fit_within_what_is_stated():
    done = subprocess.run([sys.executable, __file__], capture_output=True, text=True, check=True)
    channels, height, width = SHAPE
    stated = 4 * count_numbers(channels * height * width, CLASSES, RANK)
    assert stated == pytest.approx(324e6, rel=0.01)  # docs/gaussians.md
    assert 0.9 * stated < int(done.stdout) < stated + 5e8


if __name__ == "__main__":
    print(measure())
