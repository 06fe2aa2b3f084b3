"""A hundred classes of 64x64 colour images are trained on, sampled and told apart."""

import pytest
import torch

from jemstone.data import DataSet, Images
from jemstone.experiments import balanced_labels, begin, draw
from jemstone.random import Generator
from jemstone.recipes import changed, recipe_for

CLASSES, EACH = 100, 70


def images(each):
    """Return images of classes in turn, each about a colour of its own."""
    y = torch.arange(CLASSES).repeat(each)
    colours = Generator(0).uniform((CLASSES, 3, 1, 1))[y]
    grain = Generator(1).uniform((len(y), 3, 64, 64))
    return Images(((0.8 * colours + 0.2 * grain) * 255).to(torch.uint8), y)


@pytest.mark.slow
def test_a_robust_jem_of_a_hundred_classes_at_a_low_rank(tmp_path):
    classes = tuple(map(str, range(CLASSES)))
    data = DataSet("many", images(EACH), images(1), classes, flip=True)
    fields = {"optimisation.steps": 2, "optimisation.batch_size": 16, "chains.rank": 64}
    recipe = changed(recipe_for("robust-jem", data.name, "quick"), fields)
    run = begin(tmp_path / "run", recipe, data)
    run.train(data)
    model, y = run.model(), balanced_labels(CLASSES, CLASSES)
    drawn = draw(model, run.sampler("combined"), y, Generator(0))
    assert drawn.shape == (CLASSES, 3, 64, 64)
    assert 0 <= drawn.min() < drawn.max() <= 1
    assert model.predict(data.test.first(4).x).shape == (4, CLASSES)
    # The Gaussians kept their classes' colours: the nearest mean is the own one.
    started = run.gaussian(y, Generator(0)).mean(dim=(2, 3))
    means = data.train.x.view(EACH, CLASSES, 3, -1).mean(dim=(0, 3))
    assert torch.equal(torch.cdist(started, means).argmin(dim=1), y)
