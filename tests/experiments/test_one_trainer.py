"""A run has one trainer at a time, and none that is behind."""

from importlib.util import find_spec

import pytest

from jemstone.experiments import Run, begin, drifted
from jemstone.experiments.flow_runs import FlowRun
from jemstone.lock import Busy, alone_in
from jemstone.recipes import changed, recipe_for


@pytest.fixture
def begun(digits, tmp_path):
    def run(**options):
        fields = {"network.architecture": "convnet", "network.width": 2, "optimisation.steps": 2}
        recipe = changed(recipe_for("classifier", budget="quick"), fields)
        return begin(tmp_path / "run", recipe, digits, **options)

    return run


def files(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("tensorboard", [False, True])
def test_a_second_trainer_is_refused_and_leaves_nothing(tensorboard, begun, digits):
    if tensorboard and find_spec("tensorboard") is None:
        pytest.skip("the extra tensorboard is not installed")
    run = begun(tensorboard=tensorboard)
    before = files(run.path)
    with alone_in(run.path), pytest.raises(Busy, match="another process is at work"):
        run.train(digits)
    assert files(run.path) == before
    run.train(digits)
    assert Run.open(run.path).steps_done == 2


def test_so_it_is_with_a_flow(digits, tmp_path):
    pytest.importorskip("normflows", reason="needs the extra flows")
    run = FlowRun.begin(tmp_path / "flow", "glow", digits, "quick")
    before = files(run.path)
    with alone_in(run.path), pytest.raises(Busy, match="another process is at work"):
        run.train(digits)
    assert files(run.path) == before


@pytest.mark.parametrize("name", ["torch", "threads", "kernels"])
def test_what_bits_hang_on_is_told_where_it_differs(name, begun):
    run = begun()
    assert drifted(run.environment) == []
    (line,) = drifted(run.environment | {name: "another"})
    assert line.startswith(f"{name} another, here ")
    former = {key: value for key, value in run.environment.items() if key != name}
    assert drifted(former) == []


def test_who_has_waited_too_long_does_not_take_a_run_back(begun, digits):
    run = begun()
    former = run.state(digits)
    run.train(digits)
    before = files(run.path)
    with pytest.raises(Busy, match="meanwhile"):
        run.train(digits, state=former)
    assert files(run.path) == before
