"""A disk that fails while a checkpoint is saved: the one before is whole, and the run goes on."""

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from jemstone.checkpoints import newest_checkpoint
from jemstone.files import read_json
from jemstone.model import JointEnergyModel

FAULTY = Path(__file__).parent / "faulty.py"
FILES = ("model.safetensors", "training.safetensors", "chains-0.safetensors")
COUNTS = [pytest.param(1, id="some"), pytest.param(5, id="many", marks=pytest.mark.stress)]
KINDS = ("killed", "full", "forbidden", "vanished")
CALLS = range(23, 55)  # of the second save and the third: another comes after them


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="makes faults as Linux allows them")
@pytest.mark.parametrize("count", COUNTS)
def test_a_fault_while_saving_loses_no_checkpoint(count, tmp_path, record_property):
    faults = [
        f"{kind}-{call}" for kind in KINDS for call in random.Random(kind).sample(CALLS, count)
    ]
    done = subprocess.run(
        [sys.executable, str(FAULTY), str(tmp_path), *faults],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    codes, lost = read_json(tmp_path / "codes.json"), []
    whole = tmp_path / "whole/ended/checkpoint"
    for fault in faults:
        home = tmp_path / fault
        told = (home / "suffer.told").read_text()
        expected = -9 if fault.startswith("killed") else 4
        assert codes[fault] == expected, (fault, told)
        assert "Traceback" not in told, (fault, told)
        if expected == 4:
            assert told.splitlines()[-1].startswith("jemstone: the environment failed"), told
        newest = newest_checkpoint(home / "left")
        JointEnergyModel.from_pretrained(newest)
        if read_json(newest / "training.json")["step"] < int((home / "before").read_text()):
            lost.append(fault)
        assert codes[f"{fault} resumed"] == 0, (home / "resume.told").read_text()
        for file in FILES:
            ended = home / "ended/checkpoint" / file
            assert ended.read_bytes() == (whole / file).read_bytes(), (fault, file)
    full = [tmp_path / fault / "about" for fault in faults if fault.startswith("full")]
    small = [read_json(about)["small"] for about in full]
    record_property("faults", len(faults))
    record_property("on_a_small_file_system", sum(small))
    record_property("lost_checkpoints", len(lost))
    assert not lost
