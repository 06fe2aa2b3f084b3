"""What runs that are lost do to a picture, and how their reasons are told."""

import copy

import pytest
from matplotlib.figure import Figure

from jemstone.report.reproduction.reasons import reasons_told
from jemstone.report.reproduction.stability import STABILITY, stability_plots

NORM, GAP = list(STABILITY)[2:]


def drawn(title, stability):
    figure = Figure()
    assert STABILITY[title](figure, stability)
    return figure.axes


def exploded(stability):
    """Let every curve of the runs that fail end far beyond those of the others."""
    stability = copy.deepcopy(stability)
    for recipe in stability["recipes"].values():
        for run in recipe["runs"]:
            if run["failed"]:
                run["curves"]["energy_gap"][-1] = -1e14
                run["curves"]["input_grad_norm"][-1] = 1e14
    return stability


def test_each_learning_rate_has_a_panel_and_each_recipe_a_band(studies):
    axes = drawn(NORM, studies()["stability"])
    assert [axis.get_title() for axis in axes] == ["rate 0.05", "rate 0.1"]
    for axis in axes:
        assert len(axis.lines) == len(axis.collections) == 2


def test_the_line_of_a_band_is_the_median_of_the_runs_that_still_train(studies):
    stability = studies()["stability"]
    runs = [r for r in stability["recipes"]["robust-jem"]["runs"] if r["learning_rate"] == 0.05]
    for run, norm in zip(runs, (1.0, 2.0, 9.0), strict=True):
        run["curves"]["input_grad_norm"] = [norm for _ in run["curves"]["step"]]
    for name in ("step", "input_grad_norm"):
        runs[2]["curves"][name] = runs[2]["curves"][name][:3]
    line = drawn(NORM, stability)[0].lines[1]
    assert list(line.get_ydata()[:4]) == [2.0, 2.0, 2.0, 1.5]


@pytest.mark.parametrize("title", [NORM, GAP])
def test_a_lost_run_does_not_set_the_scale(title, studies):
    before, after = studies()["stability"], exploded(studies()["stability"])
    limits = [[axis.get_ylim() for axis in drawn(title, own)] for own in (before, after)]
    assert max(high for _, high in limits[1]) <= max(high for _, high in limits[0]) < 1e3
    assert min(low for low, _ in limits[1]) > -10.1


def test_a_run_that_leaves_the_picture_is_marked_at_its_edge(studies):
    stability = exploded(studies()["stability"])
    axes = drawn(GAP, stability)
    runs = [run for recipe in stability["recipes"].values() for run in recipe["runs"]]
    low = axes[0].get_ylim()[0]
    left = [line for axis in axes for line in axis.lines if line.get_marker() == "v"]
    assert len(left) == sum(run["failed"] for run in runs) > 0
    assert all(list(line.get_ydata()) == [low] for line in left)


def test_nothing_is_drawn_without_runs(studies):
    stability = studies()["stability"]
    for recipe in stability["recipes"].values():
        recipe |= {"runs": [], "by_learning_rate": {}}
    assert stability_plots(stability) == {}


def test_reasons_are_counted_and_those_that_differ_in_words_are_kept_apart():
    whys = [f"loss is {value}" for value in ("2.7e+04", "inf", "-3", "1e-5", "inf")]
    assert reasons_told([*whys, "accuracy of 0.1 below 0.5", "accuracy of 0.3 below 0.5"]) == [
        "loss is -3 to 2.7e+04 (3 runs)",
        "loss is inf (2 runs)",
        "accuracy of 0.1 to 0.3 below 0.5 (2 runs)",
    ]
    assert reasons_told(["at step 7"]) == ["at step 7"]
    assert reasons_told([]) == []
