"""Folders of pictures: what is taken, how it is split, and what is refused."""

import os

import numpy as np
import pytest
import torch
from PIL import Image

from jemstone.data import fingerprint, load
from jemstone.data.pictures import read
from jemstone.errors import Mistake

CLASSES = ("ant", "bee", "cat")


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("JEMSTONE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def draws():
    return np.random.default_rng(0)


def picture(path, pixels, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)


@pytest.fixture
def folder(tmp_path, draws):
    """Three classes of ten pictures of 6x5 pixels, each of its own grey."""
    root = tmp_path / "zoo"
    for k, name in enumerate(CLASSES):
        for i in range(10):
            picture(root / name / f"{i}.png", np.full((6, 5, 3), 20 * k + i, np.uint8))
    return root


def refusal(*arguments, **options):
    with pytest.raises(Mistake) as told:
        load(*map(str, arguments), **options)
    assert "\n" not in str(told.value)
    return str(told.value)


def numbers(images):
    """Return what each picture of `folder` was: 20 times its class, and its number."""
    assert (images.pixels.flatten(1) == images.pixels[:, 0, 0, :1]).all()
    return images.pixels[:, 0, 0, 0].tolist()


# ------------------------------------------------------------------------------ what is taken


def test_a_folder_is_a_data_set(folder):
    data = load(str(folder))
    assert (data.name, data.classes, data.shape) == ("zoo", CLASSES, (3, 6, 5))
    assert sorted(numbers(data.train) + numbers(data.test)) == [
        20 * k + i for k in range(3) for i in range(10)
    ]
    for part in (data.train, data.test):
        assert [n // 20 for n in numbers(part)] == part.labels.tolist()
        assert part.mapped
        assert part.resident == 0


def test_a_fifth_of_each_class_is_held_out_whatever_the_others_are(folder):
    data = load(str(folder))
    assert torch.bincount(data.test.labels).tolist() == [2, 2, 2]
    bees = [n for n in numbers(data.test) if n // 20 == 1]
    for i in range(5):
        (folder / "ant" / f"{i}.png").unlink()
    changed = load(str(folder))
    assert torch.bincount(changed.test.labels).tolist() == [1, 2, 2]
    assert sorted(bees) == sorted(n for n in numbers(changed.test) if n // 20 == 1)


def test_the_order_does_not_go_by_class(folder):
    labels = load(str(folder)).train.labels
    assert not (labels.diff() >= 0).all()


def test_given_splits_are_kept_and_other_folders_told(folder, tmp_path):
    both = tmp_path / "both"
    for split, kept in (("train", range(7)), ("test", range(7, 10)), ("extra", range(1))):
        for k in CLASSES:
            (both / split / k).mkdir(parents=True)
            for i in kept:
                (both / split / k / f"{i}.png").symlink_to(both / "pool" / k / f"{i}.png")
    folder.rename(both / "pool")
    told = []
    data = load(str(both), told=told.append)
    assert sorted(n % 20 for n in numbers(data.train)) == sorted([*range(7)] * 3)
    assert sorted(n % 20 for n in numbers(data.test)) == sorted([*range(7, 10)] * 3)
    assert "extra, pool" in told[0]


FORMATS = {
    "png": {},
    "bmp": {},
    "gif": {},
    "PGM": {},
    "webp": {"lossless": True},
    "tif": {},
    "jpg": {"quality": 100},
}


@pytest.mark.parametrize("ending", FORMATS)
def test_each_format_gives_its_pixels(ending, tmp_path, draws):
    grey = draws.integers(0, 256, (8, 8), dtype=np.uint8)
    picture(tmp_path / f"a.{ending}", grey, **FORMATS[ending])
    back = read(str(tmp_path / f"a.{ending}"), grey=True, size=None)
    assert np.abs(back[0].astype(int) - grey).max() <= (2 if ending == "jpg" else 0)


@pytest.mark.parametrize(
    ("modes", "channels"),
    [(["L"], 1), (["1"], 1), (["L", "LA"], 1), (["L", "RGB"], 3), (["P"], 3), (["RGBA"], 3)],
)
def test_a_set_is_grey_where_every_picture_is(modes, channels, tmp_path):
    for number in range(8):
        image = Image.new("RGB", (4, 4), (255, 255, 255)).convert(modes[number % len(modes)])
        path = tmp_path / "set" / "ab"[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        image.save(path)
    data = load(str(tmp_path / "set"))
    assert data.shape == (channels, 4, 4)
    assert (data.train.pixels == 255).all()


@pytest.mark.parametrize(
    ("kind", "options"),
    [("jpg", {"quality": 100}), ("webp", {"lossless": True}), ("tif", {})],
    ids=["jpg", "webp", "tif"],
)
@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_a_photograph_is_upright(orientation, kind, options, folder, tmp_path, draws):
    upright = Image.fromarray(draws.integers(0, 256, (6, 5, 3), dtype=np.uint8))
    turns = {1: 0, 3: 180, 6: 90, 8: 270}  # counter-clockwise, which the viewer undoes
    tags = Image.Exif()
    tags[0x0112] = orientation
    path = folder / "ant" / f"photo.{kind}"
    upright.rotate(turns[orientation], expand=True).save(path, exif=tags, **options)
    shown = read(str(path), grey=False, size=None).transpose(1, 2, 0)
    assert shown.shape == (6, 5, 3)
    assert load(str(folder)).shape == (3, 6, 5)
    plain = upright.rotate(turns[orientation], expand=True)
    plain.save(tmp_path / f"plain.{kind}", **options)
    lying = read(str(tmp_path / f"plain.{kind}"), grey=False, size=None).transpose(1, 2, 0)
    assert np.array_equal(np.rot90(lying, -turns[orientation] // 90), shown)


def test_files_that_are_no_pictures_are_told_and_hidden_ones_are_not(folder):
    (folder / "README").write_text("about")
    (folder / "ant" / ".DS_Store").write_text("")
    (folder / ".git").mkdir()
    for name in ("notes.txt", "boxes.csv"):
        (folder / "bee" / name).write_text("")
    os.mkfifo(folder / "bee" / "pipe.png")
    told = []
    assert load(str(folder), told=told.append).classes == CLASSES
    assert "boxes.csv and 2 other files left out" in told[0]


# --------------------------------------------------------------------------------------- sizes


def test_a_mix_of_sizes_needs_a_size(folder):
    picture(folder / "bee" / "wide.png", np.zeros((6, 9, 3), np.uint8))
    told = refusal(folder)
    assert "--resize" in told
    assert "5 x 6" in told
    assert "9 x 6" in told
    assert told.count(".png") == 2
    data = load(str(folder), resize=4)
    assert data.shape == (3, 4, 4)
    assert len(data.train) + len(data.test) == 31


@pytest.mark.parametrize("size", [0, -1, 10**6])
def test_a_size_that_is_none_is_a_mistake(size, folder):
    assert "--resize" in refusal(folder, resize=size)


# --------------------------------------------------------------------------------------- cache


def test_pictures_are_read_once_until_one_changes(folder, cache, monkeypatch):
    first = load(str(folder))
    assert len(list(cache.rglob("*.npy"))) == 2
    with monkeypatch.context() as patch:
        patch.setattr("jemstone.data.folder.read", None)
        again = load(str(folder))
    assert fingerprint(again) == fingerprint(first)
    picture(folder / "ant" / "0.png", np.full((6, 5, 3), 99, np.uint8))
    assert fingerprint(load(str(folder))) != fingerprint(first)


@pytest.mark.parametrize("content", [b"", b"\x93NUMPY", b"\x80\x04\x95pickle", None])
def test_a_broken_cache_is_written_anew(content, folder, cache):
    first = fingerprint(load(str(folder)))
    for path in cache.rglob("train.npy"):
        path.write_bytes(path.read_bytes()[:-1] if content is None else content)
    assert fingerprint(load(str(folder))) == first


def test_what_fails_leaves_nothing_in_the_cache(folder, cache):
    (folder / "cat" / "3.png").write_bytes((folder / "cat" / "3.png").read_bytes()[:50])
    assert "3.png" in refusal(folder)
    assert not [path for path in cache.rglob("*") if path.is_file() and "test" not in path.name]


def test_a_cache_that_cannot_be_is_a_mistake(folder, cache):
    cache.write_text("a file")
    assert "JEMSTONE_CACHE" in refusal(folder)


def test_a_disk_that_is_too_small_is_told_before_it_is_full(folder, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda path: type("Disk", (), {"free": 10}))
    assert "JEMSTONE_CACHE" in refusal(folder)


# -------------------------------------------------------------------------- what is refused


def empty(folder):
    (folder / "dog").mkdir()


def single(folder):
    for name in CLASSES[1:]:
        (folder / name).rename(folder.parent / name)


def flat(folder):
    for name in CLASSES:
        (folder / name).rename(folder.parent / name)
    picture(folder / "a.png", np.zeros((6, 5), np.uint8))


def nested(folder):
    picture(folder / "bee" / "more" / "1.png", np.zeros((6, 5), np.uint8))


def lonely(folder):
    picture(folder / "dog" / "1.png", np.zeros((6, 5), np.uint8))


def train_alone(folder):
    (folder / "ant").rename(folder / "train")


def tested_alone(folder):
    for split, names in (("train", CLASSES[:2]), ("test", CLASSES[1:])):
        (folder / split).mkdir()
        for name in names:
            picture(folder / split / name / "1.png", np.zeros((6, 5), np.uint8))


def link_out(folder):
    picture(folder.parent / "secret.png", np.zeros((6, 5), np.uint8))
    (folder / "ant" / "link.png").symlink_to(folder.parent / "secret.png")


def link_to_nowhere(folder):
    (folder / "ant" / "link.png").symlink_to(folder / "ant" / "none.png")


def link_in_a_circle(folder):
    (folder / "ant" / "link.png").symlink_to(folder / "ant" / "link.png")


def link_to_a_folder(folder):
    (folder / "dog").symlink_to(folder / "ant")


def text(folder):
    (folder / "ant" / "x.png").write_text("no picture\nat all")


def deep_grey(folder):
    picture(folder / "ant" / "x.png", np.zeros((6, 5), np.uint16))


def floats(folder):
    picture(folder / "ant" / "x.tiff", np.zeros((6, 5), np.float32))


def glass(folder):
    picture(folder / "ant" / "x.png", np.full((6, 5, 4), 200, np.uint8))


def huge(folder):
    (folder / "ant" / "x.ppm").write_bytes(b"P6\n16384 8192\n255\n")


def two_lines(folder):
    (folder / "ant" / "x\ny.png").write_text("no picture")


def a_class_of_two_lines(folder):
    (folder / "ant").rename(folder / "a\nb")


WRONG = {
    empty: "dog holds no pictures",
    single: "one class folder alone, ant",
    flat: "no class folders",
    nested: "has a folder in it, more",
    lonely: "dog has one picture",
    train_alone: "none test",
    tested_alone: "cat has no class folder",
    link_out: "link out of the data set",
    link_to_nowhere: "leads nowhere",
    link_in_a_circle: "leads nowhere",
    link_to_a_folder: "link to a folder",
    text: "not a readable image",
    deep_grey: "8-bit",
    floats: "8-bit",
    glass: "transparent",
    huge: "pixels",
    two_lines: "not a readable image",
    a_class_of_two_lines: "no name for a class",
}


@pytest.mark.parametrize("change", WRONG, ids=lambda change: change.__name__)
def test_a_folder_laid_out_otherwise_is_a_mistake_of_one_line(change, folder):
    change(folder)
    told = refusal(folder)
    assert WRONG[change] in told
    assert len(told) < 700


@pytest.mark.parametrize("name", ["nowhere/at/all", "/dev/null", "a\0b", "x" * 5000, "x/" * 5000])
def test_a_folder_that_is_not_there_is_a_mistake(name):
    assert refusal(name)
