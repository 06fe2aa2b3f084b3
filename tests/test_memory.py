import pytest

from jemstone import memory
from jemstone.errors import Mistake


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
