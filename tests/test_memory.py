import resource
import subprocess
import sys
from pathlib import Path

import pytest

from jemstone import memory
from jemstone.errors import Mistake
from jemstone.memory import keep_freed_memory


def test_this_machine_has_memory():
    assert memory.machine_memory() > 2**28


def test_a_containers_limit_counts(tmp_path, monkeypatch):
    (tmp_path / "memory.max").write_text("1000000\n")
    monkeypatch.setattr(memory, "_CONTAINER", tmp_path / "memory.max")
    assert memory.machine_memory() == 1_000_000
    (tmp_path / "memory.max").write_text("max\n")
    assert memory.machine_memory() > 1_000_000


def test_what_is_larger_than_the_machine_is_refused():
    memory.refuse_beyond_memory(10**6, "a picture")
    with pytest.raises(Mistake, match=r"a picture claims 931,323 GiB, this machine has"):
        memory.refuse_beyond_memory(10**15, "a picture")


FAULTS = """
import ctypes, resource
from jemstone.memory import keep_freed_memory
KEEP and keep_freed_memory()
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
for _ in range(3):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    blocks = [libc.malloc(ctypes.c_size_t(2**23)) for _ in range(20)]
    for block in blocks:
        ctypes.memset(block, 1, 2**23)
    for block in blocks:
        libc.free(block)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def huge_pages():
    """Tell whether the system gives huge pages unasked, so that hardly any are counted."""
    told = Path("/sys/kernel/mm/transparent_hugepage/enabled")
    return told.is_file() and "[always]" in told.read_text()


@pytest.mark.skipif(not keep_freed_memory(), reason="another C library, or settings of its own")
@pytest.mark.skipif(huge_pages(), reason="pages of 2 MB are given unasked")
def test_memory_that_was_freed_is_not_asked_for_again():
    faults = {}
    for keep in (False, True):
        code = FAULTS.replace("KEEP", str(keep))
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        )
        faults[keep] = int(done.stdout)
    pages = 20 * 2**23 // resource.getpagesize()
    assert faults[True] < pages / 10 < faults[False]


@pytest.mark.parametrize("setting", ["GLIBC_TUNABLES", "MALLOC_TRIM_THRESHOLD_"])
def test_the_environments_own_settings_stay(setting, monkeypatch):
    monkeypatch.setenv(setting, "1")
    assert not keep_freed_memory()
