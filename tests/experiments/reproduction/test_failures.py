"""What fails is told where a reader looks, and all else stands."""

import sys
from functools import partial

import pytest
import torch

from jemstone.errors import Mistake
from jemstone.experiments import Run
from jemstone.experiments.reproduction import cells, check_work, networks, reproduce
from jemstone.experiments.suites import PARTS
from jemstone.lock import Busy
from jemstone.report.reproduction import table_markdown
from jemstone.training import Diverged, RunFolder
from jemstone.types import Generator


def table_notes(result):
    return table_markdown(result).partition("\n\n")[2]


def test_a_row_that_fails_is_told_and_the_others_stand(work, judge, monkeypatch, last):
    train, tried = Run.train, []

    def lost(run, *arguments, **options):
        if run.recipe.name != "jempp":
            return train(run, *arguments, **options)
        tried.append(run.seed)
        RunFolder(run.path).on_metrics(2, {"loss": float("nan")})
        if run.seed == 1:
            raise Diverged(3, "the loss is nan")
        raise RuntimeError("two\nlines")

    monkeypatch.setattr(Run, "train", lost)
    rows = ("jempp", "robust-classifier")
    result = last(work(rows=rows), judge).result
    broken, fine = result["rows"]
    assert (broken["status"], broken["seeds"]) == ("diverged", [])
    assert broken["error"] == broken["failed_seeds"]["0"] == "two lines"
    assert "the loss is nan" in broken["failed_seeds"]["1"]
    assert broken["is"] is None
    curves = {(one["network"], one["seed"]): one for one in result["training"]}
    assert curves["jempp", 1]["status"] == "diverged"
    assert curves["jempp", 1]["curves"] == {"step": [2], "loss": [None]}
    assert (fine["status"], fine["seeds"]) == ("done", [0, 1])
    last(work(rows=rows), judge)
    assert tried == [0, 1, 0]  # a diverged one would diverge again, a failed one may not


@pytest.mark.parametrize(
    ("what", "left"), [("trajectory", "gradients"), ("compare_gradients", "trajectory")]
)
def test_a_picture_that_fails_is_told_and_the_table_stands(
    work, judge, monkeypatch, what, left, last
):
    module, lines = sys.modules[reproduce.__module__], []

    def lost(*arguments, **options):
        raise Mistake("samples have pixels that are not finite")

    monkeypatch.setattr(module, what, lost)
    asked = work(progress=lines.append, seeds=(0,), rows=("robust-jem-energy",))
    outcome = last(asked, judge)
    assert [row["status"] for row in outcome.result["rows"]] == ["done"]
    assert (outcome.trajectory is None, outcome.gradients is None) == (
        left != "trajectory",
        left != "gradients",
    )
    (told,) = [line for line in lines if line.startswith("no picture of ")]
    assert told.endswith("samples have pixels that are not finite")


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
        MemoryError(),
        OSError("no space left on device"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_fails_around_a_part_is_of_the_whole_command(work, judge, monkeypatch, last, error):
    def lost(*arguments, **options):
        raise error

    asked = work(seeds=(0,), rows=("robust-classifier",))
    whole = sys.modules[reproduce.__module__]
    for module, what in ((networks, "begin"), (cells, "draw"), (whole, "compare_gradients")):
        with monkeypatch.context() as patch:
            patch.setattr(module, what, lost)
            with pytest.raises(type(error)):
                last(asked, judge)
    assert [row["status"] for row in last(asked, judge).result["rows"]] == ["done"]


def test_a_network_without_gradients_is_not_in_their_picture(work, judge, monkeypatch, last):
    measure = cells.compare_gradients

    def lost(runs, *arguments, **options):
        if runs[0].recipe.name == "jempp" and runs[0].seed == 0:
            raise Mistake("not finite")
        return measure(runs, *arguments, **options)

    monkeypatch.setattr(cells, "compare_gradients", lost)
    outcome = last(work(seeds=(0,), rows=("jempp",)), judge)
    assert list(outcome.gradients.rows) == ["classifier"]


def test_what_could_not_be_judged_is_told_beside_what_was(work, judge, monkeypatch, last):
    samples, classify = cells.draw, PARTS["classification"]
    measure, reference = cells.compare_gradients, cells.classes_in_turn

    def of_seed_1(what, usual, seed):
        if seed in (1, Generator(1).fold(what).seed):
            raise RuntimeError(f"no {what}")
        return usual()

    def draw(model, sampler, y, stream, **options):
        usual = partial(samples, model, sampler, y, stream, **options)
        return of_seed_1("samples", usual, stream.seed)

    def accuracy(case, shelf):
        return of_seed_1("accuracy", partial(classify, case, shelf), case.settings.seed)

    def gradients(runs, data, **options):
        usual = partial(measure, runs, data, **options)
        return of_seed_1("gradients", usual, options.get("seed"))

    def in_turn(labels, generator):
        return of_seed_1("reference", partial(reference, labels, generator), generator.seed)

    monkeypatch.setattr(cells, "draw", draw)
    monkeypatch.setitem(PARTS, "classification", accuracy)
    monkeypatch.setattr(cells, "compare_gradients", gradients)
    monkeypatch.setattr(cells, "classes_in_turn", in_turn)
    result = last(work(rows=("robust-classifier",)), judge).result
    for cell in (*result["rows"], *result["matrix"]):
        assert (cell["status"], cell["seeds"]) == ("done", [0])
        assert cell["failed_seeds"] == {"1": "no samples"}
        assert len(cell["fid"]["values"]) == 1
    for network in result["networks"]:
        assert network["classification_failed"] == {"1": "no accuracy"}
        assert len(network["accuracy"]["values"]) == 1
    for row in result["gradients"]:
        assert row["failed_seeds"] == {"1": "no gradients"}
    (learnt,) = [row for row in result["references"] if row["id"] == "train"]
    assert learnt["failed_seeds"] == {"1": "no reference"}
    notes = table_notes(result)
    for told in ("samples", "accuracy", "gradients", "reference"):
        assert f"no {told}" in notes


@pytest.mark.parametrize("verdict", [False, {"law": "it falls", "passed": False, "values": {}}])
def test_a_robust_accuracy_that_breaks_a_law_is_none(work, judge, monkeypatch, last, verdict):
    attack = PARTS["pgd"]

    def broken(case, shelf):
        rows = attack(case, shelf)["robust_accuracy"]
        if case.run.recipe.name == "classifier" and case.settings.seed == 1:
            rows[-1]["laws"]["falls_with_eps"] = verdict
        return {"robust_accuracy": rows}

    monkeypatch.setitem(PARTS, "pgd", broken)
    result = last(work(rows=("robust-classifier",)), judge).result
    plain, robust = result["networks"]
    assert plain["robust_accuracy"] is None
    assert plain["laws"] == {"below_clean": True, "falls_with_eps": False}
    assert len(plain["accuracy"]["values"]) == len(robust["robust_accuracy"]["values"]) == 2
    assert robust["laws"] == {"below_clean": True, "falls_with_eps": True}
    assert "robust accuracy of classifier is left out" in table_notes(result)


def test_without_its_library_a_flow_is_skipped(work, judge, monkeypatch, last):
    told = "flows need normflows: pip install 'jemstone[flows]'"

    def absent(*arguments, **options):
        raise Mistake(told)

    monkeypatch.setattr(networks.FlowRun, "begin", absent)
    monkeypatch.setattr(networks, "find_spec", lambda name: None)
    (row,) = last(work(rows=("glow",), seeds=(0,)), judge).result["rows"]
    assert (row["status"], row["error"]) == ("skipped", told)


def test_an_init_beyond_memory_is_refused_before_flows_are_trained(work, monkeypatch):
    asked = work(rows=("glow",))
    check_work(asked)
    monkeypatch.setattr("jemstone.memory.machine_memory", lambda: 1000)
    with pytest.raises(Mistake, match=r"the class-Gaussian init claims .* --resize"):
        check_work(asked)


def test_a_network_that_another_process_trains_is_waited_for_and_not_failed(work, monkeypatch):
    def busy(*given, **options):
        raise Busy("another process is at work")

    monkeypatch.setattr(Run, "train", busy)
    asked = work(seeds=(0,), rows=("robust-classifier",))
    with pytest.raises(Busy):
        networks.train_networks(asked)
    assert not list((asked.cells / "training").glob("*.json"))
