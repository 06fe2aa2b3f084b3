"""However few frames of a walk are kept, every stage is among them, its first steps above all."""

from itertools import pairwise

import pytest

from jemstone.experiments.reproduction.frames import frames_shown, stages_of, steps_of


@pytest.mark.parametrize("most", [1, 5, 10, 30, 1000])
@pytest.mark.parametrize("walk_steps", [1, 10, 300])
def test_frames_shown_keep_every_stage(most, walk_steps):
    stages = ["init", *["attack"] * 15, "contrast", *["walk"] * walk_steps, "clamp"]
    shown = frames_shown(stages, most)
    assert shown == sorted(set(shown))
    assert {0, len(stages) - 1, *(end for _, _, end in stages_of(stages))} <= set(shown)
    assert len(shown) == min(len(stages), max(most, 5))


@pytest.mark.parametrize("most", [32, 48, 80])
@pytest.mark.parametrize("walk_steps", [20, 150, 1000])
def test_a_long_walk_leaves_the_attack_its_share(most, walk_steps):
    stages = ["init", *["attack"] * 15, "contrast", *["walk"] * walk_steps, "clamp"]
    shown = frames_shown(stages, most)
    assert sum(stages[t] == "attack" for t in shown) >= 6
    walk = [steps_of(stages)[t] for t in shown if stages[t] == "walk"]
    assert len(walk) > 8
    # Frames are dense at the walk's start: no gap is far longer than one that comes later.
    gaps = [after - before for before, after in pairwise(walk)]
    assert all(2.5 * later >= gap for gap, later in pairwise(gaps))
    assert sum(step <= walk_steps // 2 for step in walk) >= len(walk) / 2


@pytest.mark.parametrize("most", [6, 12, 30])
def test_frames_of_a_thinned_way_are_chosen_by_their_true_steps(most):
    stages = ["init", *["attack"] * 15, "contrast", *["walk"] * 150, "clamp"]
    steps = steps_of(stages)
    kept = frames_shown(stages, 80)
    again = frames_shown([stages[t] for t in kept], most, [steps[t] for t in kept])
    direct = frames_shown(stages, most)
    assert len(again) == len(direct)
    for twice, once in zip((kept[t] for t in again), direct, strict=True):
        assert stages[twice] == stages[once]
        assert abs(steps[twice] - steps[once]) <= 0.1 * steps[once]
