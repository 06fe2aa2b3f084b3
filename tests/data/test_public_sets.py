"""The public sets: where they may lie, what is in them, and what they may be turned into."""

import os
import pickle
import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.io import savemat

from jemstone.data import NAMES, TOYS, is_flippable, load, load_unknown
from jemstone.errors import Mistake

FLIPS = {
    "digits": False,
    "mnist": False,
    "fashion-mnist": False,
    "cifar10": True,
    "cifar100": True,
    "svhn": False,
}
FILES = {
    "mnist": "MNIST/raw",
    "fashion-mnist": "FashionMNIST/raw",
    "cifar10": "cifar-10-batches-py",
    "cifar100": "cifar-100-python",
    "svhn": "test_32x32.mat",
}
COUNT = {"train": 20, "test": 10}


@pytest.fixture
def drawn():
    """Images and labels of both splits, by their number of channels; uint8 (N, H, W[, C])."""

    def draw(channels, classes):
        draws, side = np.random.default_rng(0), 28 if channels == 1 else 32
        return {
            split: (
                draws.integers(
                    0, 256, (n, side, side) if channels == 1 else (n, side, side, 3), dtype=np.uint8
                ),
                np.arange(n) % classes,
            )
            for split, n in COUNT.items()
        }

    return draw


def write_idx(root, kind, drawn):
    raw = root / kind / "raw"
    raw.mkdir(parents=True)
    for split, prefix in (("train", "train"), ("test", "t10k")):
        images, labels = drawn[split]
        head = struct.pack(">iiii", 2051, *images.shape)
        (raw / f"{prefix}-images-idx3-ubyte").write_bytes(head + images.tobytes())
        head = struct.pack(">ii", 2049, len(labels))
        (raw / f"{prefix}-labels-idx1-ubyte").write_bytes(head + labels.astype(np.uint8).tobytes())


def write_cifar(root, drawn, folder, files, key, meta):
    (root / folder).mkdir()
    for name, split, part in files:
        images, labels = (array[part] for array in drawn[split])
        rows = images.transpose(0, 3, 1, 2).reshape(len(images), -1)
        content = pickle.dumps({"data": rows, key: labels.tolist()})
        (root / folder / name).write_bytes(content)
    names = [str(k) for k in range(100)]
    content = pickle.dumps({"label_names": names[:10], "fine_label_names": names})
    (root / folder / meta).write_bytes(content)


def write_layout(name, root, drawn, monkeypatch):
    """Write a set as torchvision lays it out; its sums, which are of the true files, are waived."""
    if name in ("mnist", "fashion-mnist"):
        write_idx(root, "MNIST" if name == "mnist" else "FashionMNIST", drawn)
        return
    monkeypatch.setattr("torchvision.datasets.cifar.check_integrity", lambda *of: True)
    if name == "cifar10":
        parts = [(f"data_batch_{i + 1}", "train", slice(i, None, 5)) for i in range(5)]
        files = [*parts, ("test_batch", "test", slice(None))]
        write_cifar(root, drawn, "cifar-10-batches-py", files, "labels", "batches.meta")
    elif name == "cifar100":
        files = [(split, split, slice(None)) for split in ("train", "test")]
        write_cifar(root, drawn, "cifar-100-python", files, "fine_labels", "meta")
    else:
        monkeypatch.setattr("torchvision.datasets.SVHN._check_integrity", lambda self: True)
        for split, (images, labels) in drawn.items():
            of_ten = np.where(labels == 0, 10, labels)[:, None]  # as the set has it
            content = {"X": images.transpose(1, 2, 3, 0), "y": of_ten}
            savemat(root / f"{split}_32x32.mat", content)


CHANNELS = {"mnist": 1, "fashion-mnist": 1, "cifar10": 3, "cifar100": 3, "svhn": 3}
every = pytest.mark.parametrize("name", CHANNELS)


def test_all_sets_are_here():
    assert set(FLIPS) == set(NAMES) - set(TOYS)
    assert set(CHANNELS) == set(FILES) == set(NAMES) - {"digits", *TOYS}


@pytest.mark.parametrize("name", FLIPS)
def test_only_photographs_of_things_are_mirrored(name):
    assert is_flippable(name) == FLIPS[name]


@every
@pytest.mark.parametrize("layout", ["npz", "torchvision"])
def test_a_set_is_read_from_either_layout(layout, name, drawn, tmp_path, monkeypatch):
    classes = 100 if name == "cifar100" else 10
    splits = drawn(CHANNELS[name], 10)
    if layout == "npz":
        arrays = {f"{split}_images": images for split, (images, _) in splits.items()}
        arrays |= {f"{split}_labels": labels for split, (_, labels) in splits.items()}
        np.savez(tmp_path / f"{name}.npz", **arrays)
        classes = 10
    else:
        write_layout(name, tmp_path, splits, monkeypatch)
    data = load(name, tmp_path)
    assert (data.name, data.flip, len(data.classes)) == (name, FLIPS[name], classes)
    for split, part in (("train", data.train), ("test", data.test)):
        images, labels = splits[split]
        order = range(len(labels))
        if (name, layout, split) == ("cifar10", "torchvision", "train"):
            order = [i for batch in range(5) for i in range(batch, len(labels), 5)]
        pixels = part.pixels.permute(0, 2, 3, 1).numpy()
        assert np.array_equal(pixels, images.reshape(*images.shape[:3], -1)[order])
        assert np.array_equal(part.labels, labels[order])
        assert part.take(torch.tensor([1])).x.is_contiguous()
    unknown = load_unknown(name, tmp_path)
    assert torch.equal(unknown.images.pixels, data.test.pixels)


@every
def test_a_root_without_the_set_says_which_files_to_put_there(name, tmp_path):
    with pytest.raises(Mistake) as told:
        load(name, tmp_path)
    assert f"{name}.npz" in str(told.value)
    assert FILES[name] in str(told.value)
    assert "\n" not in str(told.value)


@every
def test_without_a_root_the_set_is_fetched_into_the_cache(name, tmp_path, monkeypatch):
    asked = []

    def fetch(self, root, download=False, **choice):
        asked.append((root, download))
        raise OSError("no network\nhere")

    kind = {"mnist": "MNIST", "fashion-mnist": "FashionMNIST"}.get(name, name.upper())
    monkeypatch.setattr(f"torchvision.datasets.{kind}.__init__", fetch)
    monkeypatch.delenv("JEMSTONE_DATA", raising=False)
    monkeypatch.setenv("JEMSTONE_CACHE", str(tmp_path))
    with pytest.raises(Mistake, match="--data-root") as told:
        load(name)
    assert "\n" not in str(told.value)
    assert asked == [(str(tmp_path / "data"), True)]


# ------------------------------------------------------------------------------- unknown inputs


@pytest.mark.parametrize("labelled", [True, False])
@pytest.mark.parametrize("source", ["path", "name in the root", "set in the root"])
def test_test_images_alone_are_an_unknown_set(labelled, source, drawn, tmp_path, monkeypatch):
    images, labels = drawn(3, 10)["test"]
    arrays = {"test_images": images} | ({"test_labels": labels} if labelled else {})
    np.savez(tmp_path / "cifar100_test.npz", **arrays)
    named = {
        "path": (str(tmp_path / "cifar100_test.npz"), None),
        "name in the root": ("cifar100_test.npz", tmp_path),
        "set in the root": ("cifar100", tmp_path),
    }[source]
    unknown = load_unknown(*named)
    assert np.array_equal(unknown.images.pixels.permute(0, 2, 3, 1), images)
    assert (unknown.labels is not None) == labelled
    if labelled:
        assert np.array_equal(unknown.labels, labels)
    assert unknown.name == ("cifar100" if source == "set in the root" else "cifar100_test")


def test_test_images_alone_are_nothing_to_train_on(drawn, tmp_path):
    images, labels = drawn(3, 10)["test"]
    np.savez(tmp_path / "a.npz", test_images=images, test_labels=labels)
    with pytest.raises(Mistake, match="unknown-input set"):
        load(str(tmp_path / "a.npz"))
    np.savez(tmp_path / "b.npz", train_images=images, train_labels=labels)
    with pytest.raises(Mistake, match="lacks test_images"):
        load_unknown(str(tmp_path / "b.npz"))
    np.savez(tmp_path / "c.npz", test_images=images[:0])
    with pytest.raises(Mistake, match="no images"):
        load_unknown(str(tmp_path / "c.npz"))


# ------------------------------------------------------------------------------------ real data

ROOT = os.environ.get("JEMSTONE_DATA")
REAL = {
    "mnist.npz": ("mnist", (1, 28, 28), (60_000, 10_000)),
    "cifar-10-batches-py": ("cifar10", (3, 32, 32), (50_000, 10_000)),
}


def real(file):
    if not (ROOT and (Path(ROOT) / file).exists()):
        pytest.skip(f"JEMSTONE_DATA names no folder with {file}")


@pytest.mark.slow
@pytest.mark.parametrize("file", REAL)
def test_the_real_sets_are_whole(file):
    real(file)
    name, shape, counts = REAL[file]
    data = load(name)
    assert (data.shape, (len(data.train), len(data.test))) == (shape, counts)
    assert data.train.labels.bincount().min() > counts[0] / 12


@pytest.mark.parametrize(
    ("file", "shape", "count"),
    [
        ("cifar100_test.npz", (3, 32, 32), 5_000),
        ("fashion_mnist_holdout.npz", (1, 28, 28), 10_000),
    ],
)
def test_the_real_unknown_sets_are_whole(file, shape, count):
    real(file)
    unknown = load_unknown(file)
    assert (unknown.images.shape, len(unknown.images)) == (shape, count)
    assert unknown.labels is not None
