"""What fails is counted as failed; a study that was interrupted is the study that was not."""

import pytest

from jemstone.data import DataSet
from jemstone.experiments.stability import short_recipe, stability
from jemstone.functional.confidence import wilson_interval
from jemstone.training import Device

TINY = {
    "network.architecture": "convnet",
    "network.width": 2,
    "optimisation.batch_size": 8,
    "attack.steps": 1,
    "walk.steps": 1,
    "chains.size": 20,
}
ABSURD = 1e9


@pytest.fixture
def study(digits, tmp_path):
    few = DataSet("digits", digits.train.first(60), digits.test.first(20), digits.classes, False)

    def run(folder="study", rates=(0.01,), **options):
        usual = {"seeds": (0, 1), "steps": 4, "fields": TINY, "least": 0.0, "device": Device()}
        return stability(few, folder=tmp_path / folder, learning_rates=rates, **usual | options)

    return run


def test_a_run_that_diverges_is_a_failure(study):
    found = study(rates=(0.01, ABSURD))
    assert found["recipes"].keys() == {"jempp", "robust-jem"}
    for of in found["recipes"].values():
        assert (of["n"], of["failed"], of["failure_rate"]) == (4, 2, 0.5)
        assert of["interval"] == list(wilson_interval(2, 4))
        sane, absurd = (of["by_learning_rate"][rate] for rate in ("0.01", "1e+09"))
        assert (sane["failed"], absurd["failed"]) == (0, 2)
        assert absurd["interval"] == list(wilson_interval(2, 2))
        for run in of["runs"]:
            lost = run["learning_rate"] == ABSURD
            assert run["failed"] == lost == (run["why"] is not None) == (run["step"] is not None)
            assert (run["final_accuracy"] is None) == lost


def test_a_run_that_ends_useless_is_a_failure(study):
    found = study(least=1.01)["recipes"]["robust-jem"]
    assert found["failed"] == found["n"] == 2
    assert all("held-out accuracy" in run["why"] for run in found["runs"])
    assert found["failure_curve"] == {"step": [0, 4, 4, 4], "share": [0, 0.5, 1, 1]}


def test_curves_are_of_the_steps_that_were_logged(study):
    run = study(recipes=("jempp",), seeds=(0,), steps=21)["recipes"]["jempp"]["runs"][0]
    assert run["curves"].keys() == {"step", "input_grad_norm", "energy_gap", "loss"}
    assert run["curves"]["step"] == [20, 21]
    assert all(None not in curve and len(curve) == 2 for curve in run["curves"].values())


def test_an_interrupted_study_goes_on_where_it_was(study):
    whole, told = study("whole", rates=(0.01, ABSURD)), []

    def interrupts(line):
        told.append(line)
        if len(told) == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        study("parts", rates=(0.01, ABSURD), progress=interrupts)
    assert study("parts", rates=(0.01, ABSURD), progress=told.append) == whole
    assert len(told) == 8 + 1  # the one that was interrupted is told twice
    again = []
    assert study("parts", rates=(0.01, ABSURD), progress=again.append) == whole
    assert not again


def test_runs_of_another_study_are_not_taken_for_its_own(study):
    study(seeds=(0,))
    told = []
    study(seeds=(0,), steps=3, progress=told.append)
    assert len(told) == 2


@pytest.mark.parametrize(("norm", "mode"), [("none", "eval"), ("batch", "batch")])
def test_the_runs_have_no_guard_and_the_papers_norm_walks_as_theirs(norm, mode):
    recipe = short_recipe("robust-jem", "digits", learning_rate=0.1, steps=7, norm=norm)
    assert (recipe.guard.retries, recipe.optimisation.clip_norm) == (0, None)
    assert (recipe.network.norm, recipe.walk.mode) == (norm, mode)
    assert (recipe.optimisation.steps, recipe.optimisation.learning_rate) == (7, 0.1)
