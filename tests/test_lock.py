import subprocess
import sys

import pytest

from jemstone.lock import Busy, alone_in


def test_one_process_at_a_time_is_alone_in_a_folder(tmp_path):
    pytest.importorskip("fcntl")
    code = "import sys; from pathlib import Path; from jemstone.lock import alone_in\n"
    code += "with alone_in(Path(sys.argv[1])): print('in')"
    enter = [sys.executable, "-c", code, str(tmp_path)]
    with alone_in(tmp_path):
        with pytest.raises(Busy), alone_in(tmp_path):
            pass
        other = subprocess.run(enter, capture_output=True, text=True)
        assert "another process is at work" in other.stderr
        assert other.stdout == ""
    assert subprocess.run(enter, capture_output=True, text=True).stdout == "in\n"
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_not_there_is_nobodys(tmp_path):
    with alone_in(tmp_path / "nowhere"):
        pass
