"""Images on the disk take no memory, and are what they would be in it."""

import contextlib
import re
import sys
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch

from jemstone.data import Augmentation, Epochs, Images, load
from jemstone.errors import Mistake
from jemstone.random import Generator

LIMIT = "jemstone.archives._LEAST_MAPPED"
ROOM = 128 * 2**20  # bytes that handling images may take, whatever their number


@pytest.fixture
def arrays():
    draws = np.random.default_rng(0)
    return {
        "train_images": draws.integers(0, 256, (40, 6, 5, 3), dtype=np.uint8),
        "train_labels": np.arange(40) % 3,
        "test_images": draws.integers(0, 256, (9, 6, 5, 3), dtype=np.uint8),
        "test_labels": np.arange(9) % 3,
    }


@pytest.fixture(autouse=True)
def _map_all(monkeypatch):
    monkeypatch.setattr(LIMIT, 0)


@pytest.mark.parametrize("channels", [None, 1, 3])
def test_stored_and_compressed_files_are_the_same_data(channels, arrays, tmp_path):
    for split in ("train", "test"):
        colour = arrays[f"{split}_images"]
        arrays[f"{split}_images"] = colour[..., 0] if channels is None else colour[..., :channels]
    np.savez(tmp_path / "stored.npz", **arrays)
    np.savez_compressed(tmp_path / "squeezed.npz", **arrays)
    stored, squeezed = (load(str(tmp_path / f"{name}.npz")) for name in ("stored", "squeezed"))
    assert (stored.resident, squeezed.resident) == (0, 49 * 30 * (channels or 1))
    assert stored.fingerprint == squeezed.fingerprint
    assert torch.equal(stored.train.x, squeezed.train.x)
    generators = Generator(0)
    for step in range(6):
        parts = [Epochs(data.train, 16, generators).batch(step) for data in (stored, squeezed)]
        moved = [Augmentation(padding=2, flip=True)(part.x, generators) for part in parts]
        assert parts[0].x.is_contiguous()
        assert torch.equal(parts[0].x, parts[1].x)
        assert torch.equal(parts[0].y, parts[1].y)
        assert torch.equal(moved[0], moved[1])


def test_chunks_and_batches_are_the_whole(arrays, tmp_path):
    np.savez(tmp_path / "a.npz", **arrays)
    train = load(str(tmp_path / "a.npz")).train
    assert torch.equal(torch.cat(list(train.chunks())), train.pixels)
    assert torch.equal(torch.cat([x for x, _ in train.batches(7)]), train.x)
    assert train.first(4).mapped


def test_a_flipped_bit_is_told_though_nothing_is_kept(arrays, tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, **arrays)
    content = bytearray(path.read_bytes())
    place = content.find(arrays["train_images"].tobytes())
    content[place + 1000] ^= 4
    path.write_bytes(content)
    with pytest.raises(Mistake, match="CRC"):
        load(str(path))


def test_an_archive_behind_something_else_is_mapped_in_the_right_place(arrays, tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, **arrays)
    path.write_bytes(b"before" * 1000 + path.read_bytes())
    data = load(str(path))
    assert data.train.mapped
    assert np.array_equal(data.train.pixels.permute(0, 2, 3, 1), arrays["train_images"])


def test_a_small_file_may_be_written_over(arrays, tmp_path, monkeypatch):
    monkeypatch.undo()
    np.savez(tmp_path / "a.npz", **arrays)
    data = load(str(tmp_path / "a.npz"))
    assert data.resident == 49 * 90
    (tmp_path / "a.npz").write_bytes(b"")
    assert np.array_equal(data.train.pixels.permute(0, 2, 3, 1), arrays["train_images"])


def test_arrays_in_the_order_of_columns_are_read(arrays, tmp_path):
    rows = dict(arrays)
    arrays["train_images"] = np.asfortranarray(arrays["train_images"])
    np.savez(tmp_path / "a.npz", **arrays)
    data = load(str(tmp_path / "a.npz"))
    assert not data.train.mapped
    assert np.array_equal(data.train.pixels.permute(0, 2, 3, 1), rows["train_images"])


def test_what_memory_lacks_is_refused_with_the_way_out(arrays, tmp_path, monkeypatch):
    monkeypatch.setattr("jemstone.memory.machine_memory", lambda: 2000)
    np.savez_compressed(tmp_path / "squeezed.npz", **arrays)
    with pytest.raises(Mistake, match=r"numpy\.savez, and"):
        load(str(tmp_path / "squeezed.npz"))
    np.savez(tmp_path / "stored.npz", **arrays)
    assert load(str(tmp_path / "stored.npz")).train.mapped


def hollow(path, count, side):
    """Write an archive of black images that takes next to no room on the disk."""
    about = {"descr": "|u1", "fortran_order": False, "shape": (count, side, side, 3)}
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("train_labels", "test_labels"):
            with archive.open(f"{name}.npy", "w") as member:
                labels = np.arange(count if "train" in name else 2) % 2
                np.lib.format.write_array(member, labels)
        with archive.open("test_images.npy", "w") as member:
            np.lib.format.write_array(member, np.zeros((2, side, side, 3), np.uint8))
        with archive.open("train_images.npy", "w", force_zip64=True) as member:
            np.lib.format.write_array_header_1_0(member, about)
            empty, left = bytes(2**20), count * side * side * 3
            # By hand: the numbers are skipped in the file, and counted in the sum.
            while left:
                part = empty[:left]
                member._crc = zlib.crc32(part, member._crc)
                member._file_size += len(part)
                member._compress_size += len(part)
                archive.fp.seek(len(part), 1)
                left -= len(part)


@contextlib.contextmanager
def room(size):
    """Let this process ask for so many bytes more; a read-only map asks for none."""
    import resource

    status = Path("/proc/self/status").read_text()
    now = int(re.search(r"VmData:\s+(\d+) kB", status)[1]) * 1024
    former = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (now + size, former[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, former)


@pytest.mark.skipif(sys.platform != "linux", reason="memory is limited by a Linux limit")
def test_memory_does_not_grow_with_the_set(tmp_path):
    hollow(tmp_path / "large.npz", count=20_000, side=64)  # 234 MiB
    with room(ROOM):
        with pytest.raises((RuntimeError, MemoryError)):
            torch.ones(20_000, 3, 64, 64, dtype=torch.uint8)  # so the limit is one
        data = load(str(tmp_path / "large.npz"))
        assert len(data.fingerprint) == 12
        epochs = Epochs(data.train, 64, Generator(0))
        for step in (0, 100, 400):
            batch = epochs.batch(step)
            assert not batch.x.any()
            assert torch.equal(batch.x, Augmentation(4, flip=True)(batch.x, Generator(step)))
        assert sum(len(x) for x, _ in data.train.batches(64)) == 20_000


def test_memory_that_images_take_is_known():
    part = Images(torch.zeros(5, 1, 4, 4, dtype=torch.uint8), torch.zeros(5).long())
    assert part.resident == 80
    assert Images(part.pixels, part.labels, mapped=True).resident == 0
