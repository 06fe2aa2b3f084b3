import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from jemstone.data import fingerprint, load, load_unknown
from jemstone.errors import Mistake


@pytest.fixture(scope="module")
def digits():
    return load("digits")


@pytest.fixture
def arrays():
    draws = np.random.default_rng(0)
    return {
        "train_images": draws.integers(0, 256, (8, 5, 4), dtype=np.uint8),
        "train_labels": np.arange(8) % 3,
        "test_images": draws.integers(0, 256, (4, 5, 4), dtype=np.uint8),
        "test_labels": np.arange(4) % 3,
    }


def refusal(name, root=None):
    with pytest.raises(Mistake) as told:
        load(str(name), root)
    assert "\n" not in str(told.value)
    return str(told.value)


# -------------------------------------------------------------------------------------- digits


def test_digits_are_split_1437_to_360(digits):
    assert (len(digits.train), len(digits.test)) == (1437, 360)
    assert digits.shape == (1, 8, 8)
    assert digits.classes == tuple("0123456789")
    assert not digits.flip


def test_digits_are_split_in_the_shares_of_the_classes(digits):
    shares = torch.bincount(torch.as_tensor(load_digits().target)) * 360 / 1797
    assert (torch.bincount(digits.test.labels) - shares).abs().max() < 1


def test_every_digit_is_in_one_of_the_splits_in_full_range(digits):
    pixels, labels = load_digits(return_X_y=True)
    whole = np.column_stack([np.rint(pixels * 255 / 16), labels])
    parts = [
        np.column_stack([part.pixels.flatten(1), part.labels])
        for part in (digits.train, digits.test)
    ]
    assert sorted(map(tuple, np.vstack(parts))) == sorted(map(tuple, whole))
    assert digits.train.pixels.min() == 0
    assert digits.train.pixels.max() == 255


def test_the_split_is_the_same_every_time(digits):
    assert fingerprint(load("digits")) == fingerprint(digits)


# ----------------------------------------------------------------------------------- npz files


@pytest.mark.parametrize("channels", [None, 1, 3])
@pytest.mark.parametrize("kind", [np.int64, np.uint8, np.int32])
def test_a_file_is_a_data_set(channels, kind, arrays, tmp_path):
    for split in ("train", "test"):
        grey = arrays[f"{split}_images"]
        if channels:
            arrays[f"{split}_images"] = np.stack(
                [grey // (c + 1) for c in range(channels)], axis=-1
            )
        arrays[f"{split}_labels"] = arrays[f"{split}_labels"].astype(kind)
    np.savez(tmp_path / "toy.npz", **arrays)
    data = load(str(tmp_path / "toy.npz"))
    assert (data.name, data.classes, data.shape) == ("toy", ("0", "1", "2"), (channels or 1, 5, 4))
    for split, part in (("train", data.train), ("test", data.test)):
        expected = arrays[f"{split}_images"].reshape(-1, 5, 4, channels or 1)
        assert np.array_equal(part.pixels.permute(0, 2, 3, 1), expected)
        assert np.array_equal(part.labels, arrays[f"{split}_labels"])
        assert part.labels.dtype == torch.int64


WRONG = {
    "a key is missing": ("test_labels", None),
    "float images": ("train_images", lambda a: a / 255.0),
    "images of wide integers": ("train_images", lambda a: a.astype(np.int64)),
    "flat images": ("train_images", lambda a: a.reshape(len(a), -1)),
    "too many dimensions": ("train_images", lambda a: a[:, None, None]),
    "too few labels": ("train_labels", lambda a: a[:-1]),
    "too many labels": ("test_labels", lambda a: np.append(a, 0)),
    "one-hot labels": ("train_labels", lambda a: np.eye(3, dtype=np.int64)[a]),
    "float labels": ("train_labels", lambda a: a.astype(float)),
    "text labels": ("train_labels", lambda a: a.astype(str)),
    "negative labels": ("train_labels", lambda a: a - 1),
    "negative test labels": ("test_labels", lambda a: a - 1),
    "labels beyond int64": ("train_labels", lambda a: a.astype(np.uint64) + 2**63),
    "a class that is only tested": ("test_labels", lambda a: a + 1),
    "no training images": ("train_images", lambda a: a[:0]),
    "another test shape": ("test_images", lambda a: a[:, 1:]),
    "pickled images": ("train_images", lambda a: a.astype(object)),
    "pickled labels": ("test_labels", lambda a: a.astype(object)),
}


@pytest.mark.parametrize(("key", "change"), WRONG.values(), ids=WRONG)
def test_arrays_that_do_not_fit_are_a_mistake_of_one_line(key, change, arrays, tmp_path):
    if change is None:
        del arrays[key]
    else:
        arrays[key] = change(arrays[key])
    if key == "train_images" and not len(arrays[key]):
        arrays["train_labels"] = arrays["train_labels"][:0]
    np.savez(tmp_path / "toy.npz", **arrays)
    assert "toy" in refusal(tmp_path / "toy.npz")


@pytest.mark.parametrize("kept", [0, 10, 300, -1, -30])
@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_a_truncated_file_is_a_mistake_of_one_line(kept, save, arrays, tmp_path):
    path = tmp_path / "toy.npz"
    save(path, **arrays)
    path.write_bytes(path.read_bytes()[:kept])
    assert "toy.npz" in refusal(path)


def test_a_file_of_another_format_is_a_mistake_of_one_line(arrays, tmp_path):
    path = tmp_path / "toy.npz"
    for content in (b"text\nof two lines", b"\x80\x04\x95pickle", b"PK\x03\x04"):
        path.write_bytes(content)
        assert "toy.npz" in refusal(path)
    with path.open("wb") as file:
        np.save(file, arrays["train_images"])
    assert "toy.npz" in refusal(path)


class Bomb:
    """A pickle that leaves a file behind when it is read."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


@pytest.mark.parametrize("wrapped", [True, False])
def test_no_pickle_is_ever_read(wrapped, arrays, tmp_path):
    path, trace = tmp_path / "toy.npz", tmp_path / "trace"
    bomb = np.array([Bomb(trace)] * 8, dtype=object)
    if wrapped:
        np.savez(path, **arrays | {"train_labels": bomb})
    else:
        bomb.dump(path)
    assert "toy.npz" in refusal(path)
    assert not trace.exists()


def test_a_missing_file_is_a_mistake(tmp_path):
    assert "toy.npz" in refusal(tmp_path / "toy.npz")


# --------------------------------------------------------------------------------- names, roots


@pytest.mark.parametrize("by_environment", [False, True])
def test_a_root_with_the_file_is_enough(by_environment, arrays, tmp_path, monkeypatch):
    monkeypatch.setenv("JEMSTONE_DATA", str(tmp_path if by_environment else tmp_path / "nothing"))
    np.savez(tmp_path / "mnist.npz", **arrays)
    data = load("mnist", None if by_environment else tmp_path)
    assert (data.name, len(data.train), len(data.test)) == ("mnist", 8, 4)


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist", "cifar10", "cifar100", "svhn"])
def test_a_named_root_without_the_set_says_what_to_put_there(name, tmp_path):
    assert f"{name}.npz" in refusal(name, tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_root_that_is_no_folder_is_a_mistake(tmp_path):
    assert "nowhere" in refusal("mnist", tmp_path / "nowhere")


def test_an_unknown_name_is_a_mistake_with_a_guess():
    assert "did you mean 'cifar10'" in refusal("cifar-10")


@pytest.mark.parametrize("key", ["train_images", "train_labels", "test_images", "test_labels"])
def test_the_fingerprint_tells_data_apart(key, arrays, tmp_path):
    np.savez(tmp_path / "a.npz", **arrays)
    np.savez_compressed(tmp_path / "same.npz", **arrays)
    arrays[key] = arrays[key].copy()
    arrays[key].flat[0] = (int(arrays[key].flat[0]) + 1) % 3
    np.savez(tmp_path / "b.npz", **arrays)
    prints = [fingerprint(load(str(tmp_path / f"{name}.npz"))) for name in ("a", "same", "b")]
    assert prints[0] == prints[1] != prints[2]
    assert len(prints[0]) == 12


def test_files_of_torchvision_that_are_broken_are_a_mistake_of_one_line(tmp_path):
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for split in ("train", "t10k"):
        for part in ("images-idx3", "labels-idx1"):
            (raw / f"{split}-{part}-ubyte").write_bytes(b"not what it should be")
    with pytest.raises(Mistake, match=r"mnist\.npz") as told:
        load("mnist", tmp_path)
    assert "\n" not in str(told.value)


def test_the_environment_may_name_the_root(tmp_path, monkeypatch):
    monkeypatch.setenv("JEMSTONE_DATA", str(tmp_path / "nowhere"))
    with pytest.raises(Mistake, match="nowhere"):
        load("cifar10")


def test_pickles_of_an_old_torchvision_are_not_read(tmp_path):
    processed = tmp_path / "MNIST" / "processed"
    processed.mkdir(parents=True)
    for name in ("training.pt", "test.pt"):
        (processed / name).write_bytes(b"\x80\x04\x95pickle")
    assert "pickles" in refusal("mnist", tmp_path)


@pytest.mark.parametrize("labels", [[0, 0, 0, 1, 1, 1, 2, 2], [2, 2, 1, 1, 1, 0, 0, 0]])
def test_held_out_images_that_come_class_by_class_are_mixed(labels, tmp_path):
    """The first few stand for all in many a figure; pairs are kept, and files in any order."""
    y = np.array(labels)
    pixels = np.arange(8, dtype=np.uint8)[:, None, None] * np.ones((1, 4, 4), np.uint8)

    def loaded(order, name):
        arrays = {"train_images": pixels, "train_labels": y}
        arrays |= {"test_images": pixels[order], "test_labels": y[order]}
        np.savez(tmp_path / name, **arrays)
        return load(str(tmp_path / name))

    mixed = loaded(np.arange(8), "sorted.npz")
    first = mixed.test.pixels[:, 0, 0, 0].tolist()
    assert sorted(first) == list(range(8)) != first
    assert mixed.test.labels.tolist() == [labels[place] for place in first]
    assert len(mixed.test.first(5).labels.unique()) > 1
    strange = load_unknown(str(tmp_path / "sorted.npz")).images
    assert strange.pixels[:, 0, 0, 0].tolist() == first
    assert torch.equal(mixed.train.labels, torch.from_numpy(y))
    own = [0, 3, 6, 1, 4, 7, 2, 5]
    assert loaded(np.array(own), "any.npz").test.pixels[:, 0, 0, 0].tolist() == own


def test_what_is_too_large_to_be_mixed_is_refused(tmp_path, monkeypatch):
    """It lies on the disk, and another order would take it into memory."""
    pixels, y = np.zeros((8, 16, 16), np.uint8), np.repeat([0, 1], 4)
    names = {"sorted": y, "any": y[[0, 4, 1, 5, 2, 6, 3, 7]]}
    for name, labels in names.items():
        np.savez(tmp_path / name, test_images=pixels, test_labels=labels)
    monkeypatch.setattr("jemstone.archives._LEAST_MAPPED", 0)
    monkeypatch.setattr("jemstone.memory.machine_memory", lambda: 1000)
    assert len(load_unknown(str(tmp_path / "any.npz")).images) == 8
    with pytest.raises(Mistake, match=r"class by class.*write them in a random one"):
        load_unknown(str(tmp_path / "sorted.npz"))
