"""The whole way on tiny images: interrupted or not, whatever becomes of a row."""

import contextlib
import dataclasses
import sys

import pytest
import torch

from jemstone.experiments.figures import FIGURES
from jemstone.experiments.reproduction import MATRIX, ROWS, cells, reproduce
from jemstone.experiments.reproduction.rows import CONTROLS
from jemstone.files import read_tensors, write_tensors
from jemstone.training import Device, Interrupted, Quiet


def timeless(value):
    """Leave out what no two runs have in common: seconds and bytes."""
    if isinstance(value, dict):
        return {
            name: timeless(item)
            for name, item in value.items()
            if "seconds" not in name and name != "peak_bytes"
        }
    return [timeless(item) for item in value] if isinstance(value, list) else value


@pytest.fixture(scope="module")
def whole():
    """The outcome of an uninterrupted reproduction, made once."""
    return {}


@pytest.fixture
def outcome(whole, work, judge, last):
    if not whole:
        whole["outcome"] = last(work(seeds=(0,)), judge)
    return whole["outcome"]


def test_every_row_and_cell_has_its_figures(outcome):
    result = outcome.result
    assert [row["id"] for row in result["rows"]] == list(ROWS)
    for row in result["rows"]:
        assert (row["status"], row["seeds"], row["failed_seeds"]) == ("done", [0], {})
        for name in FIGURES:
            assert row[name] == {
                "mean": row[name]["mean"],
                "se": None,
                "values": [row[name]["mean"]],
            }
        of_flow = row["sampler"] == "flow"
        assert (row["bits_per_dim"] is None) != of_flow
        assert (row["accuracy"] is None) == of_flow
        assert row["cost"]["train_steps"] == 2
    attacked = {row["robust_attack"] for row in result["rows"] if row["accuracy"]}
    assert attacked == {"PGD-2 x1 on cross-entropy, linf 0.05"}
    cells = {(cell["network"], cell["sampler"]) for cell in result["matrix"]}
    controls = {(cell["network"], cell["sampler"]) for cell in result["controls"]}
    assert cells | controls == {(n, s) for n, samplers in MATRIX.items() for s in samplers}
    assert {of for of in cells | controls if of[1] in CONTROLS} == controls
    assert [reference["id"] for reference in result["references"]] == ["init", "held-out", "train"]
    held_out = result["references"][1]
    assert (held_out["fid"]["mean"], held_out["nearest"]["mean"]) == (pytest.approx(0, abs=1e-6), 1)
    assert {claim["verdict"] for claim in result["claims"]} == {"inconclusive"}


def cells_of(outcome):
    return {(c["network"], c["sampler"]): c for c in outcome.result["matrix"]}


def test_rows_are_cells_of_the_matrix(outcome):
    cells = cells_of(outcome)
    for row in outcome.result["rows"]:
        cell = cells[row["network"], row["sampler"]]
        assert all(row[name] == cell[name] for name in FIGURES)
        if row["unconditional"] is not None:
            assert row["unconditional"]["fid"] == cells[row["network"], "unconditional"]["fid"]
            assert row["unconditional"]["cost"]["passes_per_image"] == 6
    combined = cells["robust-jem", "combined"]["cost"]["passes_per_image"]
    parts = [cells["robust-jem", s]["cost"]["passes_per_image"] for s in ("attack", "energy")]
    assert combined == sum(parts)
    assert cells["robust-jem", "buffer"]["origin"] == "buffer"


def test_what_pictures_are_made_of_is_there(outcome):
    assert {"robust-classifier/attack", "jempp/energy", "robust-jem/combined"} <= set(
        outcome.samples
    )
    images, labels = outcome.samples["robust-jem/combined"]
    assert (images.dtype, images.shape[1:]) == (torch.uint8, (1, 6, 6))
    assert labels.bincount().tolist() == [10, 10]
    way = outcome.trajectory
    assert list(dict.fromkeys(way["stages"])) == [
        "init", "attack", "contrast", "walk", "clamp",
    ]  # fmt: skip
    frames = len(way["stages"])
    # Few are kept, each with its number in the whole.
    passes = cells_of(outcome)["robust-jem", "combined"]["cost"]["passes_per_image"]
    assert (frames, way["frames"]) == (10, 3 + passes)
    last_of = dict(zip(way["stages"], way["steps"], strict=True))
    assert last_of["attack"] + last_of["walk"] == passes
    assert way["images"].shape == (frames, 2, 1, 6, 6)
    assert way["energy"].shape == way["probability"].shape == (frames, 2)
    # The samples and the trajectory are the same chains.
    assert torch.equal(way["images"][-1, 0], images[0])
    assert list(outcome.gradients.rows) == [
        "classifier",
        "robust-classifier",
        "jempp",
        "robust-jem",
    ]


class Stopper(Quiet):
    """Ask to stop after the first step."""

    def wants_stop(self):
        return True


@contextlib.contextmanager
def stopped_soon(what, steps):
    yield Stopper()


def test_interrupted_again_and_again_it_comes_to_the_same(work, judge, flows, last):
    rows = ("glow", "jempp")
    straight = last(work("straight", rows=rows), judge).result
    few = {"seeds": (1,), "rows": ("jempp",)}
    with pytest.raises(Interrupted):
        list(reproduce(work(watched=stopped_soon, **few), judge))

    def impatient(line):
        if "jempp, energy" in line:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(reproduce(work(progress=impatient, **few), judge))
    first = last(work(**few), judge).result
    assert [(row["id"], row["seeds"]) for row in first["rows"]] == [("jempp", [1])]
    lines = []
    more = last(work(progress=lines.append, seeds=(0,), rows=("glow",)), judge).result
    assert timeless(more) == timeless(straight)
    assert len(more["rows"][1]["fid"]["values"]) == 2
    assert not [
        line for line in lines if line.startswith("cell") and "jempp, energy, seed 1" in line
    ]
    assert sorted(flows) == [("glow", 0), ("glow", 0), ("glow", 1), ("glow", 1)]


def test_what_is_done_is_not_done_again(work, judge, last):
    few = {"seeds": (0,), "rows": ("robust-classifier",)}
    first = last(work(**few), judge).result
    files = {p: p.stat().st_mtime_ns for p in (work(**few).out).rglob("*.safetensors")}
    lines = []
    assert last(work(progress=lines.append, **few), judge).result == first
    assert not [line for line in lines if line.startswith("cell")]
    assert {p: p.stat().st_mtime_ns for p in (work(**few).out).rglob("*.safetensors")} == files


def test_a_network_of_other_weights_is_judged_again(work, judge, last, monkeypatch):
    few = {"seeds": (0,), "rows": ("robust-classifier",)}
    monkeypatch.setattr(cells, "source_commit", lambda: "before")
    first = last(work(**few), judge).result
    asked = work(**few)
    (run,) = [run for run in (asked.out / "runs").iterdir() if run.name == "robust-classifier-0"]
    file = run / "checkpoint" / "model.safetensors"
    kept = read_tensors(file)
    write_tensors(file, {name: -x if x.dim() > 1 else x for name, x in kept.items()})
    lines = []
    monkeypatch.setattr(cells, "source_commit", lambda: "after")
    second = last(work(progress=lines.append, **few), judge).result
    again = {line.split(": ")[1].split(",")[0] for line in lines if line.startswith("cell")}
    assert again == {"robust-classifier"}
    assert not [line for line in lines if "failed" in line]
    assert first["judged_at"] == ["before"]
    assert second["judged_at"] == ["after", "before"]
    assert second["rows"][0]["fid"] != first["rows"][0]["fid"]
    bf16 = dataclasses.replace(asked, judging=Device(bf16=True))
    assert bf16.key(judge, bf16.judging) != asked.key(judge, asked.judging)


def test_studies_are_asked_of_every_seed_and_stand_in_the_table(work, judge, monkeypatch):
    asked = []

    def ablate(run, jempp, data, eyes, **options):
        asked.append((run.seed, jempp.seed, options["count"]))
        return [{"id": "contrast", "rows": []}]

    counted = {"recipes": {}, "steps": 2, "failure_is": "a loss beyond 1e4"}
    module = sys.modules[reproduce.__module__]
    monkeypatch.setattr(module, "ablate", ablate)
    monkeypatch.setattr(module, "pooled", lambda answers: answers[0])
    monkeypatch.setattr(module, "train_ablations", lambda *a, **o: [{"id": "weight", "rows": []}])
    monkeypatch.setattr(module, "stability", lambda *a, **o: counted)
    rows = ("jempp", "robust-jem-energy")
    outcomes = list(reproduce(work(rows=rows, ablations=True, stability=True), judge))
    assert [o.result["ablations"] is None for o in outcomes] == [True, False]
    assert [a["id"] for a in outcomes[1].result["ablations"]] == ["contrast", "weight"]
    assert outcomes[1].result["stability"] == counted
    assert asked == [(0, 0, 20), (1, 1, 20)]
