"""The exit code says whose fault it was."""

import pytest
import torch

from jemstone.cli import recipes
from jemstone.cli.main import main
from jemstone.errors import Mistake
from jemstone.training import Diverged

FULL = (  # as torch says it on Windows, and elsewhere
    "DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes",
    "DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes. Error code 12",
)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (Mistake("no such thing"), 2),
        (Diverged(3, "the loss is nan"), 3),
        (OSError("no space left on device"), 4),
        (MemoryError(), 4),
        *((RuntimeError(told), 4) for told in FULL),
        (torch.OutOfMemoryError("CUDA out of memory"), 4),
        (KeyboardInterrupt(), 130),
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_error_has_its_exit_code_and_one_line(error, code, monkeypatch, capsys):
    def run(argv):
        raise error

    monkeypatch.setattr(recipes, "run", run)
    assert main(["recipes"]) == code
    told = capsys.readouterr().err
    assert told.startswith("jemstone: ")
    assert told.count("\n") == 1
    assert str(error) in told


@pytest.mark.parametrize("error", [RuntimeError("shapes differ"), KeyError("x")])
def test_a_fault_of_our_own_keeps_its_traceback(error, monkeypatch):
    def run(argv):
        raise error

    monkeypatch.setattr(recipes, "run", run)
    with pytest.raises(type(error)):
        main(["recipes"])
