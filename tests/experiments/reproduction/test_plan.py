"""A folder is of one plan, to which seeds and rows are added; samplers are the same for all."""

import dataclasses

import pytest

from jemstone.data import load
from jemstone.errors import Mistake
from jemstone.experiments.reproduction import NETWORKS, ROWS, Plan
from jemstone.experiments.reproduction.rows import networks_of
from jemstone.recipes import BUDGETS, PAPERS, recipe_for


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("digits", "digits"),
        ("sets/birds.npz", "birds.npz"),
        ("a/birds", "birds"),
        ("a/birds/.", "birds"),
    ],
)
def test_the_command_that_is_told_can_be_given(given, told):
    plan = Plan(given, judge="0" * 64, judge_file="eye.safetensors")
    assert f"--data {told} --" in plan.command
    assert "--judge eye.safetensors" in plan.command


@pytest.mark.parametrize("budget", BUDGETS)
@pytest.mark.parametrize("data", ["digits", "mnist", "cifar10", "other"])
def test_every_network_is_sampled_alike(data, budget):
    recipes = [recipe_for(name, data, budget) for name in NETWORKS if name in PAPERS]
    assert len({recipe.sampling for recipe in recipes}) == 1


def test_the_papers_figures_stand_beside_its_rows():
    figures = {f.name: f.value for f in PAPERS["robust-jem"]().figures}
    combined, energy = ROWS["robust-jem-combined"].paper, ROWS["robust-jem-energy"].paper
    assert combined == (figures["IS combined"], figures["FID combined"])
    assert energy == (figures["IS energy"], figures["FID energy"])


def test_robust_jem_is_trained_once_for_its_two_rows():
    assert networks_of(["robust-jem-energy", "robust-jem-combined"]) == ("classifier", "robust-jem")
    assert networks_of(ROWS) == NETWORKS


def test_seeds_and_rows_are_added_and_all_else_is_another_plan(source, tmp_path):
    data, out = load(source), tmp_path / "out"
    plan = Plan(source, (3,), ("glow",), "quick", 20)
    assert plan.joined(out, data) == plan
    assert not out.exists()
    plan.write(out, data)
    more = Plan(source, (1,), ("jempp",), "quick", 20, stability=True).joined(out, data)
    assert (more.seeds, more.rows, more.stability) == ((1, 3), ("glow", "jempp"), True)
    assert more.key(data) == plan.key(data)
    assert "--seeds 1 3" in more.command
    adopted = Plan(source, (1,), ("glow",), "quick", 20, weights="mine").joined(out, data)
    adopted.write(out, data)
    assert "--weights mine" in plan.joined(out, data).command
    assert adopted.key(data) == plan.key(data)
    for other in (
        Plan(source, budget="small", samples=20),
        Plan(source, budget="quick", samples=30),
        Plan(source, budget="quick", samples=20, judge="0" * 64),
        Plan(source, budget="quick", samples=20, steps=5),
        Plan(source, budget="quick", samples=20, features="inception"),
    ):
        with pytest.raises(Mistake, match="another plan"):
            other.joined(out, data)
        assert other.key(data) != plan.key(data)
    with pytest.raises(Mistake, match="data tiny, not other"):
        plan.joined(out, dataclasses.replace(data, name="other"))


def test_a_folder_of_something_else_is_left_alone(source, tmp_path):
    (tmp_path / "notes").touch()
    with pytest.raises(Mistake, match="something else"):
        Plan(source, samples=20).joined(tmp_path, load(source))
    with pytest.raises(Mistake, match="exists: choose another"):
        Plan(source, samples=20).joined(tmp_path / "notes", load(source))
