"""Walks followed for longer than they were made for: what they come to is said, not hidden."""

import pytest

from jemstone.experiments.walking import _after, judge_walks
from jemstone.files import finite
from jemstone.report import doubts, plots


@pytest.fixture
def walked(precipice):
    """Follow walks of three steps of a size each, downhill towards the precipice."""
    return lambda sizes: finite(judge_walks(precipice(sizes)))


def test_a_walk_that_explodes_has_no_figures_from_there(walked):
    result = walked(3.0)
    assert [walk["sampler"] for walk in result["walks"]] == ["combined", "energy"]
    for walk in result["walks"]:
        first, last = walk["rows"][0], walk["rows"][-1]
        assert first["fid"] is not None
        assert last["fid"] is last["energy"] is None
        assert (first["at_bounds"], last["at_bounds"]) == (0.0, 1.0)
        after = walk["after"]
        assert after["verdict"] == "explodes"
        assert after["fid_ratio"] is after["saturated_since"] is None
    assert result["pictures"] == {}
    assert any("explodes" in doubt for doubt in doubts(result))
    assert "FID along the walk" in plots(result)


def test_a_walk_that_stays_has_them_all(walked):
    result = walked(0.001)
    assert len(result["walks"]) == 2
    for walk in result["walks"]:
        assert all(row["fid"] is not None for row in walk["rows"])
        assert walk["after"]["verdict"] == "holds"
        assert walk["after"]["saturated_since"] == pytest.approx(0.0, abs=0.01)
    assert list(result["pictures"]) == ["combined, 10 times longer", "energy, 10 times longer"]


def test_a_walk_that_explodes_lends_no_picture_of_another(walked):
    result = walked({"combined": 0.001, "energy": 3.0})
    assert [walk["after"]["verdict"] for walk in result["walks"]] == ["holds", "explodes"]
    assert list(result["pictures"]) == ["combined, 10 times longer"]


@pytest.mark.parametrize(
    ("before", "after", "verdict"),
    [
        ((1.0, 0.0), (1.4, 0.2), "holds"),
        ((1.0, 0.0), (0.5, 0.0), "holds"),
        ((1.0, 0.0), (1.6, 0.0), "decays"),
        ((0.0, 0.0), (0.1, 0.0), "decays"),
        ((1.0, 0.0), (1.0, 0.4), "saturates"),
        ((1.0, 0.8), (1.0, 0.85), "holds"),  # of the fifth that was inside, a quarter left
        ((1.0, 0.8), (1.0, 0.87), "saturates"),
        ((1.0, 0.0), (9.0, 0.9), "saturates"),  # the more telling of the two
        ((1.0, 0.0), (None, 0.0), "explodes"),
        ((None, 0.0), (1.0, 0.0), "explodes"),
    ],
)
def test_what_becomes_of_images_is_one_of_four(before, after, verdict):
    rows = [
        {"step": step, "fid": fid, "at_bounds": share}
        for step, (fid, share) in ((4, before), (40, after))
    ]
    assert _after(rows, 4)["verdict"] == verdict
