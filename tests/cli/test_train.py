"""What training says before it begins."""

import pytest
import torch

from jemstone.cli.train import few_images
from jemstone.data import DataSet, Images

ALIKE = "its Gaussian has the covariance of all classes"
TOGETHER = "its Gaussian is that of all classes together"


@pytest.fixture
def uneven():
    """Classes of nine images, five, one and none, and eight more of none."""
    labels = torch.arange(3).repeat_interleave(torch.tensor([9, 5, 1]))
    images = Images(torch.zeros(len(labels), 1, 4, 4, dtype=torch.uint8), labels)

    def build(names):
        return DataSet("uneven", images, images, tuple(names), flip=False)

    return build


def test_classes_of_too_few_images_are_named(uneven):
    data = uneven("abcd")
    full = [f"class c has one image: {ALIKE}", f"class d has no image: {TOGETHER}"]
    assert few_images(data, None) == full
    assert few_images(data, 4) == full
    assert few_images(data, 6) == [f"class b has 5 images for 6 directions: {ALIKE}", *full]


def test_of_many_such_classes_the_first_are_named(uneven):
    lines = few_images(uneven("abcdefghijkl"), None)
    assert len(lines) == 6
    assert lines[-1] == "5 more classes have too few images"
