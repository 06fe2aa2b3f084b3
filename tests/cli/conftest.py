import os
import subprocess
import sys
import time

import pytest


@pytest.fixture
def interrupted():
    """Run a command until a file is there, send it a signal, and return its end and its words."""

    def run(argv, file, number, patience=240, timeout=120):
        process = subprocess.Popen(
            [sys.executable, "-m", "jemstone", *argv],
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
        )
        for _ in range(10 * patience):
            if file.is_file() or process.poll() is not None:
                break
            time.sleep(0.1)
        process.send_signal(number)
        _, told = process.communicate(timeout=timeout)
        return process.returncode, told

    return run
