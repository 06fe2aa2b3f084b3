import re

import pytest

from jemstone.errors import Mistake
from jemstone.functional.gaussian import count_numbers
from jemstone.recipes import changed, estimate, recipe_for, refuse_oversized

SHAPE, CLASSES, IMAGES = (1, 8, 8), 10, 1437
SMALL = recipe_for("robust-jem")


def parts(**fields):
    recipe = changed(SMALL, {name.replace("__", "."): value for name, value in fields.items()})
    return estimate(recipe, SHAPE, CLASSES, IMAGES).parts


def test_weights_are_counted_with_all_their_copies():
    plain = {"network__architecture": "convnet", "network__width": 4, "optimisation__ema": 0.0}
    ours = parts(**plain, guard__retries=0)
    # 3x3 convolutions without bias, a scale and shift for each channel, a linear map.
    weights = 9 * (4 + 16 + 32 + 64) + 2 * (4 + 4 + 8 + 8) + 8 * 10 + 10
    assert ours["weights"] == 4 * weights * 4  # weights, gradient, released copy, momentum
    adam = parts(
        optimisation__ema=0.9,
        optimisation__optimiser="adam",
        network__architecture="convnet",
        network__width=4,
        guard__retries=0,
    )
    assert adam["weights"] == 4 * weights * 6
    # Two states to go back to, and a third in the making, each of weights and momentum.
    assert parts(**plain, guard__retries=1)["weights"] == 4 * weights * (4 + 3 * 2)


def test_an_attack_on_the_contrasted_data_is_let_go_before_they_are_passed():
    assert parts(positives="adversarial") == parts(positives="clean")


@pytest.mark.parametrize(
    ("field", "part"),
    [("chains__size", "replay buffer"), ("optimisation__batch_size", "passes")],
)
def test_a_part_grows_with_its_setting(field, part):
    assert parts(**{field: 200})[part] == 2 * parts(**{field: 100})[part] > 0


def test_what_is_off_takes_no_memory():
    alone = parts(weights__likelihood=0.0, weights__adversarial=0.0, weights__cross_entropy=1.0)
    assert alone["replay buffer"] == 0
    assert 4 * alone["passes"] == parts(weights__cross_entropy=1.0)["passes"]


def test_a_run_of_this_machines_size_is_let_be():
    needed = estimate(SMALL, SHAPE, CLASSES, IMAGES)
    assert refuse_oversized(SMALL, SHAPE, CLASSES, IMAGES, needed.total) == needed
    assert refuse_oversized(SMALL, SHAPE, CLASSES, IMAGES, None) == needed
    assert str(needed) == "about 0.8 GiB"


@pytest.mark.parametrize(
    "fields",
    [
        {"chains.size": 10**8},
        {"optimisation.batch_size": 10**6},
        {"network.width": 100, "network.norm": "group"},
        {"chains.size": 10**8, "network.width": 100},
    ],
    ids=["chains", "batch", "width", "both"],
)
def test_the_settings_that_are_named_fit(fields):
    there, images = 3 * 2**30, 10**6
    recipe = changed(SMALL, fields)
    with pytest.raises(Mistake, match="it fits with") as told:
        refuse_oversized(recipe, SHAPE, CLASSES, images, there)
    settings = re.findall(r"--(\S+) (\d+)", str(told.value))
    assert {field for field, _ in settings} == {f for f in fields if f != "network.norm"}
    mended = changed(recipe, {field: int(value) for field, value in settings})
    refuse_oversized(mended, SHAPE, CLASSES, images, there)


def test_what_no_setting_makes_fit_is_told():
    with pytest.raises(Mistake, match="no setting makes it fit: class Gaussians alone take"):
        refuse_oversized(SMALL, (3, 512, 512), 10, 10, 8 * 2**30)


@pytest.mark.parametrize(("classes", "images"), [(100, 50_000), (1000, 128_000)])
def test_where_full_covariances_do_not_fit_a_rank_is_named(classes, images):
    shape, there = (3, 64, 64), 24 * 2**30
    tiny = {"chains.size": classes, "optimisation.batch_size": 1}
    recipe = changed(SMALL, tiny)
    with pytest.raises(Mistake, match=r"it fits with --chains.rank 64$"):
        refuse_oversized(recipe, shape, classes, images, there)
    mended = changed(recipe, {"chains.rank": 64})
    needed = refuse_oversized(mended, shape, classes, images, there)
    statistics = 4 * count_numbers(3 * 64 * 64, classes, 64)
    assert statistics < needed.parts["class Gaussians"] < 2 * statistics + 5e8


@pytest.mark.parametrize("images", [1000, 500, 150, 20])
def test_the_rank_that_is_named_is_below_the_images_of_a_class(images):
    """Which is the smallest that the largest class can have."""
    with pytest.raises(Mistake, match="it fits with") as told:
        refuse_oversized(SMALL, (3, 128, 128), 10, images, 8 * 2**30)
    (rank,) = re.findall(r"--chains.rank (\d+)", str(told.value))
    assert int(rank) == min(64, images // 10 - 1)
