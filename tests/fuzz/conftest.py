"""A run to damage, and a way to call the command line that nothing may escape from."""

import contextlib
import hashlib
import io
import os
import shutil
import signal
from dataclasses import dataclass

import numpy as np
import pytest

from jemstone.cli import main

_PATIENCE = 20.0  # seconds of work, not of waiting; a longer line is stopped, as by Ctrl-C


@dataclass
class Outcome:
    """What a command line came to."""

    code: int
    out: str
    err: str


def called(argv, patience=_PATIENCE):
    """Call the command line; a run that is only long is stopped once it has begun."""
    out, err = io.StringIO(), io.StringIO()

    def impatient(number, frame):
        os.kill(os.getpid(), signal.SIGINT)

    former = signal.signal(signal.SIGPROF, impatient)
    signal.setitimer(signal.ITIMER_PROF, patience, 1.0)
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                code = main(argv)
            except SystemExit as left:  # of --help
                code = left.code
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, former)
    return Outcome(code, out.getvalue(), err.getvalue())


@pytest.fixture(scope="session")
def call():
    return called


def contents(folder):
    """Return a digest of every file below a folder."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="session")
def digests():
    return contents


@pytest.fixture(scope="session")
def archive(tmp_path_factory):
    """A data set of twelve images of 8x8."""
    path = tmp_path_factory.mktemp("data") / "own.npz"
    rng = np.random.default_rng(0)
    arrays = {}
    for split in ("train", "test"):
        arrays[f"{split}_images"] = rng.integers(0, 256, (12, 8, 8), dtype=np.uint8)
        arrays[f"{split}_labels"] = np.arange(12) % 3
    np.savez(path, **arrays)
    return path


@pytest.fixture(scope="session")
def begun(tmp_path_factory, archive):
    """A run that stopped one step before its end."""
    folder = tmp_path_factory.mktemp("runs") / "begun"
    argv = ["train", "robust-jem", "--data", str(archive), "--out", str(folder), "--steps", "2"]
    options = {
        "network.architecture": "convnet",
        "network.width": 2,
        "walk.steps": 1,
        "attack.steps": 1,
        "chains.size": 6,
        "sampling.combined.steps": 1,
        "sampling.attack.steps": 1,
        "checkpoint_every": 1,
        "precision": "fp32",
    }
    argv += [f"--{name}={value}" for name, value in options.items()]
    outcome = called(argv, patience=120.0)  # libraries are loaded in it, too
    assert outcome.code == 0, outcome.err
    recipe = folder / "recipe.yaml"
    text = recipe.read_text()
    assert "steps: 2\n  warmup" in text
    recipe.write_text(text.replace("steps: 2\n  warmup", "steps: 3\n  warmup"))
    return folder


@pytest.fixture
def workshop(begun, tmp_path):
    """A copy of the run, and a way to bring it back as it was."""

    def fresh():
        shutil.rmtree(tmp_path / "run", ignore_errors=True)
        shutil.copytree(begun, tmp_path / "run")
        return tmp_path / "run"

    return fresh
