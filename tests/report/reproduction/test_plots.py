"""Settings that are words stand at the left, where they have room."""

import pytest

from jemstone.report.plots import drawn as draw_all
from jemstone.report.reproduction.plots import ablation_plots

LONG = [
    "contrast 0.95, not clamped",
    "contrast 0.95, clamped",
    "JEM++'s own: 6 x 0.25, noise 0.005",
]


def axes_of(study, monkeypatch):
    """Return the axes of each plot of an ablation."""
    kept = []

    def spy(plots, result, inches):
        def keep(draw):
            def kept_draw(figure, result):
                shown = draw(figure, result)
                kept.extend(figure.axes if shown else ())
                return shown

            return kept_draw

        return draw_all({title: keep(draw) for title, draw in plots.items()}, result, inches)

    monkeypatch.setattr("jemstone.report.reproduction.plots.drawn", spy)
    assert ablation_plots(study)
    return kept


@pytest.mark.parametrize("values", [LONG, [0.5, 1.0, 2.0]], ids=["words", "numbers"])
def test_no_two_labels_lie_on_each_other(values, studies, monkeypatch):
    study = studies()["ablations"][0]
    for number, row in enumerate(study["rows"]):
        row["value"] = values[number % 3]
    study |= {"default": values[0], "chosen": values[1]}
    for axis in axes_of(study, monkeypatch):
        words = axis.yaxis if values is LONG else axis.xaxis
        assert [" ".join(t.get_text().split()) for t in words.get_ticklabels()] == [
            str(value).removesuffix(".0") for value in values
        ]
        for labels in (axis.get_xticklabels(), axis.get_yticklabels()):
            boxes = [label.get_window_extent() for label in labels if label.get_text()]
            assert not any(
                one.overlaps(two) for k, one in enumerate(boxes) for two in boxes[k + 1 :]
            )
