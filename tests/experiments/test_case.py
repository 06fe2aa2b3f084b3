"""What is judged brings with it what it is judged by."""

from dataclasses import replace

import numpy as np
import pytest

from jemstone.experiments import Run, Settings, begin, case_of_run
from jemstone.recipes import changed, recipe_for


@pytest.mark.parametrize("named", ["run", "variable"])
def test_what_lies_beside_a_runs_data_is_unknown_to_it(named, digits, tmp_path, monkeypatch):
    """Unless the environment names another place today."""
    monkeypatch.delenv("JEMSTONE_DATA", raising=False)
    place = tmp_path / named
    place.mkdir()
    train, test = digits.train.first(60), digits.test.first(40)
    shown = replace(digits, name="svhn", train=train, test=test)
    lines = []
    fields = {"network.architecture": "convnet", "network.width": 2, "optimisation.steps": 1}
    recipe = changed(recipe_for("classifier", budget="quick"), fields)
    run = begin(tmp_path / "a", recipe, shown, root=tmp_path / "run")
    run.train(shown)
    if named == "variable":
        monkeypatch.setenv("JEMSTONE_DATA", str(place))
    for known in (False, True):
        if known:
            images = np.zeros((3, 8, 8), dtype=np.uint8)
            np.savez(place / "cifar10_test.npz", test_images=images)
        case = case_of_run(Run.open(run.path), shown, Settings("full", 100), progress=lines.append)
        assert ("cifar10" in case.unknown) == known
        assert any("cifar10" in line for line in lines) != known
        lines.clear()
