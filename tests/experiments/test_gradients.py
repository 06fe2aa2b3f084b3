"""Input gradients of runs: of the same images for all, labelled, measured, with their origin."""

import json
import subprocess

import pytest
import torch

from jemstone.data import DataSet, Images
from jemstone.errors import Mistake
from jemstone.experiments import Run, begin, compare_gradients, data_of, provenance, source_commit
from jemstone.experiments.gradients import classes_in_turn
from jemstone.functional.energies import energy, grad_x
from jemstone.random import Generator
from jemstone.recipes import changed, recipe_for


def data_set(seed=0, size=6):
    def split(n, at):
        words = Generator(seed).fold(at).integers(n * size * size, 256)
        pixels = words.reshape(n, 1, size, size).to(torch.uint8)
        return Images(pixels, torch.arange(n) % 3)

    return DataSet("noise", split(12, 0), split(9, 1), ("a", "b", "c"), flip=False)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Two runs of two steps."""
    folder, opened = tmp_path_factory.mktemp("runs"), []
    for name in ("classifier", "robust-classifier"):
        fields = {"network.architecture": "convnet", "network.width": 2, "attack.steps": 1}
        fields |= {"optimisation.steps": 2, "optimisation.batch_size": 4}
        run = begin(folder / name, changed(recipe_for(name, budget="quick"), fields), data_set())
        run.train(data_set())
        opened.append(Run.open(folder / name))
    return opened


def test_all_runs_are_asked_about_the_same_images(runs):
    both = compare_gradients(runs, data_set(), count=6, seed=3)
    assert list(both.rows) == ["classifier", "robust-classifier"]
    for run in runs:
        alone = compare_gradients([run], data_set(), count=6, seed=3)
        assert torch.equal(alone.images, both.images)
        assert torch.equal(alone.rows[run.recipe.name], both.rows[run.recipe.name])
    other = compare_gradients(runs, data_set(), count=6, seed=4)
    assert not torch.equal(other.images, both.images)


def test_shown_is_the_way_to_more_of_the_label(runs):
    found = compare_gradients(runs[:1], data_set(), count=3)
    places = classes_in_turn(data_set().test.labels, Generator(0).fold("gradients"))[:3]
    x, y = data_set().test.take(places)
    assert torch.equal(found.images, x)
    assert torch.equal(found.rows["classifier"], -grad_x(energy, runs[0].model(), x, y))


def test_numbers_say_what_they_are_and_where_from(runs):
    result = compare_gradients(runs, data_set(), count=9).result
    assert json.loads(json.dumps(result)) == result
    assert [row["run"] for row in result["runs"]] == [str(run.path) for run in runs]
    for row in result["runs"]:
        assert row["zero"] == [0.5]
        assert row["commit"] == source_commit()
        assert row["step"] == 2
        for name, words in result["measures"].items():
            assert words.keys() == {"of", "range", "reference"}
            assert row[name].keys() == {"mean", "se"}
            assert row[name]["se"] >= 0
        assert 0 <= row["alignment_cosine"]["mean"] <= 1
        assert -1 <= row["class_mean_alignment"]["mean"] <= 1


@pytest.mark.parametrize("labels", [[0, 0, 0, 1, 1, 2], [2, 2, 2], [1, 0] * 5, [3]])
def test_classes_take_turns(labels):
    labels = torch.tensor(labels)
    order = classes_in_turn(labels, Generator(1))
    assert sorted(order.tolist()) == list(range(len(labels)))
    for n in range(1, len(labels) + 1):
        counts, sizes = labels[order[:n]].bincount(minlength=5), labels.bincount(minlength=5)
        full = counts == sizes  # a class with images left is as often there as any other, but one
        assert not (~full).any() or int(counts.max() - counts[~full].min()) <= 1


def test_runs_of_one_recipe_are_told_apart(runs):
    twice = [runs[0], Run(runs[1].path, runs[0].recipe, runs[1].environment)]
    labels = list(compare_gradients(twice, data_set(), count=2).rows)
    assert labels == [f"classifier, {run.path}" for run in runs]


def test_what_cannot_be_compared_is_refused(runs):
    for count in (-1, 1, 10):
        with pytest.raises(Mistake, match="2 to 9"):
            compare_gradients(runs, data_set(), count=count)
    with pytest.raises(Mistake, match="given twice"):
        compare_gradients([runs[0], runs[0]], data_set(), count=4)
    with pytest.raises(Mistake, match="compare runs of one data set"):
        compare_gradients(runs, data_set(size=5), count=4)
    elsewhere = runs[1].environment | {"data_fingerprint": "0" * 12, "data": "other"}
    strangers = [runs[0], Run(runs[1].path, runs[1].recipe, elsewhere)]
    with pytest.raises(Mistake, match="trained on different data \\(noise, other\\)"):
        data_of(strangers)
    assert data_of(strangers, "digits").name == "digits"
    assert data_of(strangers, "digits", resize=9).shape == (1, 9, 9)


def test_the_commit_is_that_of_the_code_or_none(monkeypatch, tmp_path):
    named = source_commit()
    assert named is None or len(named.removesuffix("-dirty")) == 40
    strange = tmp_path / "provenance.py"
    strange.write_text("")
    monkeypatch.setattr(provenance, "__file__", str(strange))
    assert source_commit() is None
    if named is not None:  # a repository that does not track the code is not the code's
        subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
        assert source_commit() is None
