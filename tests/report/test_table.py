"""Tables of an evaluation say what there is, and a dash for what there is not."""

import pytest

from jemstone.report import generation_table


@pytest.mark.parametrize(("held_out", "said"), [(0.25, "2.00"), (0.0, "-")])
def test_nearness_is_told_beside_the_held_out_images_own(held_out, said):
    row = dict.fromkeys(("is", "fid", "recall", "agreement"), 0.5)
    row |= {"sampler": "energy", "origin": "scratch", "n": 100, "spread": {"pixel": 1.0}}
    row["nearest_neighbour"] = {"pixel": 0.5, "pixel_held_out": held_out}
    judge = {"name": "J", "accuracy": None}
    table = generation_table({"judge": judge, "generation": [row]})
    column = next(c for c in table.columns if c.header == "nearest / held-out")
    assert list(column.cells) == [said]
