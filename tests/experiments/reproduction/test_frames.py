"""However few frames of a walk are kept, every stage is among them."""

import pytest

from jemstone.experiments.reproduction.frames import frames_shown, stages_of


@pytest.mark.parametrize("most", [1, 5, 10, 30, 1000])
@pytest.mark.parametrize("walk_steps", [1, 10, 300])
def test_frames_shown_keep_every_stage(most, walk_steps):
    stages = ["init", *["attack"] * 15, "contrast", *["walk"] * walk_steps, "clamp"]
    shown = frames_shown(stages, most)
    assert shown == sorted(set(shown))
    assert {0, len(stages) - 1, *(end for _, _, end in stages_of(stages))} <= set(shown)
    assert len(shown) == min(len(stages), max(most, 5))
