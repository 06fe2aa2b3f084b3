"""A long run grows in nothing but its metrics."""

import gc
import resource
from pathlib import Path

import pytest
import torch

from jemstone.data import load
from jemstone.experiments import begin
from jemstone.recipes import changed, recipe_for
from jemstone.training import Device, Quiet

STEPS = [pytest.param(100, id="some"), pytest.param(10_000, id="many", marks=pytest.mark.stress)]
TINY = {
    "network.width": 1,
    "network.depth": 10,
    "walk.steps": 1,
    "attack.steps": 1,
    "chains.size": 40,
    "optimisation.batch_size": 16,
    "noise": 0.0,
}


class Meter(Quiet):
    """Ten times in a run, count memory, open files and tensors."""

    def __init__(self, steps):
        self.every, self.seen = steps // 10, []

    def on_metrics(self, step, metrics):
        if step % self.every == 0:
            gc.collect()
            pages = int(Path("/proc/self/statm").read_text().split()[1])
            files = len(list(Path("/proc/self/fd").iterdir()))
            tensors = sum(isinstance(thing, torch.Tensor) for thing in gc.get_objects())
            self.seen.append((pages * resource.getpagesize(), files, tensors))


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="asks /proc for memory and files")
@pytest.mark.parametrize("steps", STEPS)
def test_memory_files_and_the_folder_stay_as_they_were(steps, tmp_path, record_property):
    data = load("digits")
    recipe = changed(recipe_for("jempp"), {**TINY, "optimisation.steps": steps})
    run = begin(tmp_path / "run", recipe, data, device=Device(), checkpoint_every=steps // 20)
    meter = Meter(steps)
    run.train(data, meter)
    memory, files, tensors = zip(*meter.seen, strict=True)
    record_property("steps", steps)
    record_property("growth_mb", round((max(memory[2:]) - memory[1]) / 1e6, 1))
    record_property("open_files", max(files) - files[0])
    assert max(memory[2:]) < memory[1] + 50e6
    assert max(files) == files[0]
    assert max(tensors[2:]) <= tensors[1] + 10
    assert (run.path / "metrics.jsonl").stat().st_size < 1e6
    assert len(list((run.path / "checkpoints").iterdir())) <= 4
