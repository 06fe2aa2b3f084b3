"""A flow's run learns, goes on bit for bit, and tells what went wrong in one line."""

import dataclasses
import json
import re
import sys
from pathlib import Path

import pytest
import torch

from jemstone.baselines.flows import FLOWS, Architecture, build_flow
from jemstone.data import DataSet, Images, load
from jemstone.errors import Mistake
from jemstone.experiments.flow_runs import FlowRun
from jemstone.experiments.flow_sizes import FlowSize, size_for
from jemstone.files import read_tensors, write_tensors
from jemstone.random import Generator
from jemstone.recipes import BUDGETS
from jemstone.training import Diverged, Interrupted, Optimisation


def test_a_missing_library_is_told_in_one_line(digits, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "normflows", None)
    with pytest.raises(Mistake, match=r"^flows are an extra: pip install 'jemstone\[flows\]'$"):
        FlowRun.begin(tmp_path / "run", "glow", digits)
    assert not list(tmp_path.iterdir())


@pytest.fixture(scope="module")
def digits():
    """Load the digits."""
    return load("digits")


@pytest.fixture
def flows():
    """Skip where the library is not installed."""
    return pytest.importorskip("normflows", reason="needs the extra flows")


def size(steps=6, rate=5e-3):
    return FlowSize(
        Architecture(levels=2, blocks=1, hidden=8),
        Optimisation("adam", rate, batch_size=32, steps=steps, warmup=2, clip_norm=1.0),
    )


def begun(path, name, data, **options):
    return FlowRun.begin(path, name, data, "quick", 3, **{"size": size(), **options})


def lines(run):
    read = [json.loads(line) for line in (run.path / "metrics.jsonl").read_text().splitlines()]
    return [{k: v for k, v in line.items() if k != "seconds_per_step"} for line in read]


def tensors(run):
    return {k: v for k, v in read_tensors(run.file).items() if k != "seconds"}


@pytest.mark.parametrize("name", FLOWS)
def test_training_spends_fewer_bits(name, digits, flows, tmp_path):
    run = begun(tmp_path / "run", name, digits, size=size(40, 2e-2), checkpoint_every=1)
    heard = []
    with pytest.raises(Interrupted):
        run.train(digits, wants_stop=lambda: True)
    held_out = digits.test.first(30)
    early = run.bits_per_dim(held_out, Generator(0))
    assert (run.steps_done, run.steps, run.done) == (1, 40, False)
    run.train(digits, heard.append)
    late = run.bits_per_dim(held_out, Generator(0))
    assert late < early - 0.3
    assert late == run.bits_per_dim(held_out, Generator(0))
    assert run.done
    assert run.train_seconds > 0
    assert run.estimator
    assert heard[-1].startswith(f"{name}: step 40 of 40")
    # The loss of training estimates the same quantity.
    assert lines(run)[-1]["loss"] == pytest.approx(late, abs=0.6)


@pytest.mark.parametrize("name", FLOWS)
def test_a_resumed_run_is_the_uninterrupted_one(name, digits, flows, tmp_path):
    whole, parts = (begun(tmp_path / part, name, digits, checkpoint_every=4) for part in "ab")
    whole.train(digits)
    asked = iter([False, False, True])
    with pytest.raises(Interrupted, match="after step 3 of 6"):
        parts.train(digits, wants_stop=lambda: next(asked))

    class Crash(Exception):
        pass

    def crash(line):
        if "step 6" in line:
            raise Crash  # after the line is written, before the last checkpoint

    with pytest.raises(Crash):
        parts.train(digits, crash)
    assert FlowRun.open(parts.path).steps_done == 4
    begun(tmp_path / "b", name, digits, checkpoint_every=4).train(digits)
    assert lines(parts) == lines(whole)
    left, right = tensors(parts), tensors(whole)
    assert left.keys() == right.keys()
    assert all(torch.equal(left[key], right[key]) for key in left)
    y = torch.arange(10)
    assert torch.equal(parts.sample(y, Generator(1)), whole.sample(y, Generator(1)))
    before = whole.file.read_bytes()
    whole.train(digits)  # done is done
    assert whole.file.read_bytes() == before


@pytest.mark.parametrize("name", FLOWS)
def test_samples_depend_on_the_seed_and_their_number_alone(
    name, digits, flows, tmp_path, monkeypatch
):
    run = begun(tmp_path / "run", name, digits)
    run.train(digits)
    y = torch.arange(10)
    torch.manual_seed(0)
    images = run.sample(y, Generator(1))
    torch.manual_seed(1)
    monkeypatch.setattr("jemstone.experiments.flow_runs._DRAWN", 3)
    again = FlowRun.open(run.path).sample(y, Generator(1))
    torch.testing.assert_close(again, images, atol=1.01 / 255, rtol=0)
    assert images.shape == (10, *digits.shape)
    assert images.dtype == torch.float32
    assert 0 <= images.min() <= images.max() <= 1
    assert not torch.equal(images, run.sample(y, Generator(2)))


def test_seeds_differ_and_colours_and_mirrors_are_learnt(flows, tmp_path):
    pixels = (Generator(0).uniform((40, 3, 16, 16)) * 255).to(torch.uint8)
    part = Images(pixels, torch.arange(40) % 2)
    data = DataSet("noise", part, part, ("a", "b"), flip=True)
    runs = []
    for seed in (0, 1):
        run = FlowRun.begin(tmp_path / str(seed), "glow", data, "quick", seed, size=size(2))
        run.train(data)
        runs.append(run)
    first, second = (run.sample(torch.arange(2), Generator(0)) for run in runs)
    assert first.shape == (2, 3, 16, 16)
    assert not torch.equal(first, second)


def test_a_lost_run_says_so(digits, flows, tmp_path):
    wild = dataclasses.replace(size(), optimisation=Optimisation("adam", 1e8, steps=50))
    run = begun(tmp_path / "run", "glow", digits, size=wild)
    for _ in range(2):  # and once more where it is taken up
        with pytest.raises(Diverged, match=r"diverged at step \d+: loss is .*; try another seed"):
            run.train(digits)
    assert not run.done
    (event,) = [line for line in lines(run) if "event" in line]
    assert event["event"] == "diverged"


def test_a_run_is_taken_up_or_refused(digits, flows, tmp_path):
    run = begun(tmp_path / "run", "glow", digits)
    assert begun(tmp_path / "run", "glow", digits) == run == FlowRun.open(run.path)
    for change in ({"name": "residual-flow"}, {"size": size(7)}):
        with pytest.raises(Mistake, match="another flow's run: choose another --out"):
            begun(tmp_path / "run", change.pop("name", "glow"), digits, **change)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "file").write_text("mine")
    with pytest.raises(Mistake, match="not the run of a flow"):
        begun(tmp_path / "other", "glow", digits)
    fewer = dataclasses.replace(digits, train=digits.train.first(500))
    with pytest.raises(Mistake, match="has changed"):
        run.train(fewer)
    with pytest.raises(Mistake, match="no checkpoint yet"):
        run.sample(torch.arange(2), Generator(0))
    assert (run.steps_done, run.train_seconds) == (0, 0.0)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"flow": "glob"}, "no flow learns so"),
        ({"shape": [1, 8]}, "not those of images"),
        ({"shape": [1, 8, 10**9]}, "not those of images"),
        ({"classes": "10"}, "classes is not what"),
        ({"architecture": {"levels": 2}}, "missing"),
        ({"architecture": {"levels": 2, "blocks": 1, "hidden": 10**9}}, "hidden is from"),
        ({"optimisation": {"optimiser": "adam", "steps": None}}, "steps is not there"),
        ({"optimisation": {"optimiser": "adam", "steps": -1}}, "optimisation.steps"),
        ({"optimisation": {"learning_rate": "fast"}}, "fast"),
        ({"checkpoint_every": 0}, "no flow learns so"),
        ({"device": None}, "device is not what"),
        ({"seed": 0.5}, "seed is not what"),
    ],
)
def test_a_broken_file_is_told_in_one_line(change, told, digits, flows, tmp_path):
    file = begun(tmp_path / "run", "glow", digits).path / "flow.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | change))
    with pytest.raises(Mistake, match=r"flow\.json is not that of a flow: [^\n]*$") as mistake:
        FlowRun.open(tmp_path / "run")
    assert told in str(mistake.value)


@pytest.mark.parametrize("name", FLOWS)
def test_weights_of_other_maps_are_refused(name, digits, flows, tmp_path):
    run = begun(tmp_path / "run", name, digits)
    about = json.loads((run.path / "flow.json").read_text())
    assert FlowRun.open(run.path).about == about
    del about["form"]  # as runs were written while each flow had one form
    for form in ({}, {"form": 99}):
        (run.path / "flow.json").write_text(json.dumps(about | form))
        if not form and name == "residual-flow":
            assert FlowRun.open(run.path).about["form"] == 1
            continue
        with pytest.raises(Mistake, match=r"were other maps then: train anew$"):
            begun(run.path, name, digits)


def test_anothers_checkpoint_is_told_in_one_line(digits, flows, tmp_path):
    run = begun(tmp_path / "run", "glow", digits)
    run.train(digits)
    kept = read_tensors(run.file)
    moment = next(key for key in kept if key.endswith("exp_avg"))
    weight = next(key for key in kept if key.startswith("flow."))
    for broken in (
        {k: v for k, v in kept.items() if k != weight},
        {k: v for k, v in kept.items() if k != "step"},
        kept | {moment: torch.zeros(1, 2, 3)},
        kept | {moment.replace("optimiser.", "optimiser.999"): kept[moment]},
    ):
        write_tensors(run.file, broken)
        with pytest.raises(Mistake, match=r"does not fit this flow: [^\n]*$"):
            run.train(digits)
    run.file.write_bytes(run.file.read_bytes()[:1000])
    with pytest.raises(Mistake, match=r"checkpoint\.safetensors[^\n]*$"):
        run.sample(torch.arange(2), Generator(0))


@pytest.mark.parametrize("shape", [(1, 8, 8), (1, 28, 28), (3, 32, 32), (3, 16, 16)])
@pytest.mark.parametrize("name", FLOWS)
def test_every_budget_fits_every_family(name, shape, digits):
    part = Images(torch.zeros(2, *shape, dtype=torch.uint8), torch.zeros(2, dtype=torch.int64))
    data = DataSet("black", part, part, ("a",), flip=False)
    quick, small, paper = (size_for(name, data, budget).resolved(2) for budget in BUDGETS)
    assert 0 < quick.optimisation.steps < small.optimisation.steps
    assert quick.architecture == small.architecture
    assert (paper.architecture.levels, paper.architecture.hidden) == (3, 512)
    assert paper.architecture.blocks == {"glow": 32, "residual-flow": 16}[name]
    for found in (quick, small, paper):
        assert found.architecture.halvings(shape) > 0
        assert found.optimisation.optimiser == "adam"


def test_unknown_names_are_told(digits):
    with pytest.raises(Mistake, match="did you mean 'glow'"):
        size_for("gloww", digits)
    with pytest.raises(Mistake, match="did you mean 'small'"):
        size_for("glow", digits, "smal")


def test_the_page_states_the_sizes(digits):
    page = (Path(__file__).parents[2] / "docs/flows.md").read_text()
    shapes = {"below 16 pixels": (1, 8, 8), "grey": (1, 28, 28), "colour": (3, 32, 32)}
    stated = set(re.findall(r"^\| (?:Glow|Residual Flow) \|.*\|$", page, re.MULTILINE))
    assert len(stated) == len(FLOWS) * (len(shapes) + 1)
    for name in FLOWS:
        for words, shape in shapes.items():
            part = Images(torch.zeros(2, *shape, dtype=torch.uint8), torch.zeros(2).long())
            data = DataSet("black", part, part, ("a",), flip=False)
            quick, small = (size_for(name, data, budget) for budget in ("quick", "small"))
            counts = dataclasses.astuple(quick.architecture)[:3]
            row = [name.replace("-", " ").title(), words, *counts, quick.optimisation.batch_size]
            row.append(f"{quick.optimisation.steps:,}, {small.optimisation.steps:,}")
            assert "| " + " | ".join(map(str, row)) + " |" in stated


@pytest.mark.parametrize("lost", [0, 1, 10])
def test_an_image_that_overflows_is_counted_and_many_are_a_lost_flow(
    flows, digits, tmp_path, monkeypatch, lost
):
    def decode(z):
        images = torch.full((len(z[0]), 1, 8, 8), 0.25)
        images[:lost, 0, 0, :3] = torch.tensor([float("inf"), float("nan"), -float("inf")])
        return images

    run = begun(tmp_path / "run", "glow", digits)
    blown = build_flow("glow", digits.shape, 10, run.size.architecture, 0)
    monkeypatch.setattr(blown, "decode", decode)
    monkeypatch.setattr(FlowRun, "flow", lambda run: blown)
    heard = []
    if lost > 2:
        with pytest.raises(Diverged, match="10 of 100 samples are not finite"):
            run.sample(torch.arange(100) % 10, Generator(0), heard.append)
        return
    images = run.sample(torch.arange(100) % 10, Generator(0), heard.append)
    assert heard == [lost]
    assert images[:lost, 0, 0, :3].tolist() == [[1.0, 0.5, 0.0]] * lost
    assert (images[lost:] == 64 / 255).all()
