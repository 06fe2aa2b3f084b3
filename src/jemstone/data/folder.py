"""Folders of pictures: one folder per class."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from jemstone.data.cache import cache_folder, keep, kept
from jemstone.data.image_set import DataSet, Images
from jemstone.data.listing import Listing
from jemstone.data.pictures import look, read
from jemstone.errors import Mistake, brief
from jemstone.types import Generator

__all__ = ["load_folder"]

_CHUNK = 256  # pictures read at a time
_HELD_OUT = 5  # of so many images of a class, one is held out
_SPLITS = ("train", "test")
_TENTHS_FROM = 10_000  # images; fewer are there before a second line is worth it


class _Split(NamedTuple):
    """The picture files of a split, in an order that does not go by class, and their labels."""

    files: list[str]
    labels: Tensor


def load_folder(
    folder: Path,
    name: str,
    flip: bool,
    *,
    resize: int | None = None,
    told: Callable[[str], object] = lambda line: None,
) -> DataSet:
    """Load ``FOLDER/CLASS/*`` or ``FOLDER/{train,test}/CLASS/*``.

    The pictures are read once, into a file in the cache that goes by their names, sizes and times,
    and mapped from there. Without a test folder every class gives a fifth of its images, rounded
    and at least one, drawn with seed 0; so does no other class's number of images change the
    split. A set has one channel if all of its pictures are stored as grey, else three.

    Args:
        folder: that holds the set.
        name: of the data set.
        flip: whether a mirrored image is still an image of its class.
        resize: height and width of all images; by default their own, which must be one.
        told: hears what is left out, and how far the reading is.

    Raises:
        Mistake: where the folder is laid out in another way, or a picture is broken.
    """
    listing = Listing(folder)
    classes, splits = _splits(listing, folder, told)
    if listing.ignored:
        first, others = listing.ignored[0], len(listing.ignored) - 1
        more = f" and {others} other files" if others else ""
        told(f"{folder}: {brief(first)}{more} left out: the endings are not those of pictures")
    home = cache_folder() / "images" / f"{name}-{listing.digest()}-{resize or 'own'}"
    paths = [home / f"{split}.npy" for split in _SPLITS]
    found = [kept(path, len(s.files)) for path, s in zip(paths, splits, strict=True)]
    shapes = {None if pixels is None else pixels.shape[1:] for pixels in found}
    if None in shapes or len(shapes) > 1:
        found = _read_all(folder, splits, paths, resize, told)
    parts = [
        Images(pixels, split.labels, mapped=True)
        for pixels, split in zip(found, splits, strict=True)
        if pixels is not None
    ]
    return DataSet(name, parts[0], parts[1], tuple(classes), flip)


def _splits(
    listing: Listing, folder: Path, told: Callable[[str], object]
) -> tuple[list[str], list[_Split]]:
    """Return the classes, and the training and held-out files."""
    names = listing.folders(folder)
    given = [split for split in _SPLITS if split in names]
    if len(given) == 1:
        (other,) = set(_SPLITS) - set(given)
        raise Mistake(
            f"{folder} has a folder {given[0]} and none {other}: name the held-out images' folder "
            f"test, or give {folder / given[0]}, of which a part is held out"
        )
    if not given:
        classes = _checked_classes(names, folder)
        by_class = {k: listing.pictures(folder / k) for k in classes}
        halves = [_held_out(files, k, folder) for k, files in by_class.items()]
        parts: list[list[list[str]]] = [list(half) for half in zip(*halves, strict=True)]
        return classes, [_shuffled(part, split) for part, split in zip(parts, _SPLITS, strict=True)]
    unused = [name for name in names if name not in _SPLITS]
    if unused:
        told(f"{folder}: train and test are taken, not {brief(', '.join(unused))}")
    classes = _checked_classes(listing.folders(folder / "train"), folder / "train")
    tested = listing.folders(folder / "test")
    if not tested:
        raise Mistake(
            f"{folder / 'test'} has no class folders: it needs those of {folder / 'train'}"
        )
    for stranger in sorted(set(tested) - set(classes)):
        raise Mistake(f"{folder / 'test' / stranger} has no class folder in {folder / 'train'}")
    train = [listing.pictures(folder / "train" / k) for k in classes]
    test = [listing.pictures(folder / "test" / k) if k in tested else [] for k in classes]
    return classes, [_shuffled(train, "train"), _shuffled(test, "test")]


def _checked_classes(names: list[str], folder: Path) -> list[str]:
    if len(names) < 2:
        has = f"has one class folder alone, {names[0]}" if names else "has no class folders"
        raise Mistake(f"{folder} {has}: put the pictures of each class into a folder of its own")
    return names


def _held_out(files: list[str], name: str, folder: Path) -> tuple[list[str], list[str]]:
    """Draw which files of a class are trained on, and which are held out."""
    count = max(1, round(len(files) / _HELD_OUT))
    if len(files) < 2:
        raise Mistake(f"{folder / name} has one picture: give two, of which one is held out")
    order = Generator(0).fold("held out", name).permutation(len(files)).tolist()
    return [files[i] for i in order[count:]], [files[i] for i in order[:count]]


def _shuffled(by_class: list[list[str]], split: str) -> _Split:
    """Mix the classes, so that the first images are a sample of all of them."""
    files = [file for part in by_class for file in part]
    labels = torch.repeat_interleave(torch.tensor([len(part) for part in by_class]))
    order = Generator(0).fold("order", split).permutation(len(files))
    return _Split([files[i] for i in order.tolist()], labels[order])


@contextmanager
def _readers() -> Iterator[ThreadPoolExecutor]:
    """Start as many threads as torch may use: decoding leaves the interpreter to the others."""
    with warnings.catch_warnings(), ThreadPoolExecutor(torch.get_num_threads()) as pool:
        warnings.simplefilter("ignore")  # of pillow, about tags that are odd
        yield pool


def _read_all(
    folder: Path,
    splits: list[_Split],
    paths: list[Path],
    resize: int | None,
    told: Callable[[str], object],
) -> list[Tensor | None]:
    """Read every picture into the cache, and map them."""
    count = sum(len(split.files) for split in splits)
    told(f"{folder}: {count:,} pictures are read, once, into {paths[0].parent}")
    with _readers() as pool:
        grey, size = _looks(pool, [file for split in splits for file in split.files], resize)
        shape = (1 if grey else 3, *size)
        step, done = max(1, count // 10), 0

        def progress() -> None:
            nonlocal done
            done += 1
            if count >= _TENTHS_FROM and done % step == 0:
                told(f"{folder}: {done:,} of {count:,} pictures")

        def picture(file: str) -> np.ndarray[Any, Any]:
            pixels = read(file, grey, resize)
            if pixels.shape != shape:
                raise Mistake(f"{brief(file)} has changed while it was read: try again")
            return pixels

        def parts(files: list[str]) -> Iterator[np.ndarray[Any, Any]]:
            for start in range(0, len(files), _CHUNK):
                for pixels in pool.map(picture, files[start : start + _CHUNK]):
                    progress()
                    yield pixels

        return [
            keep(path, (len(split.files), *shape), parts(split.files))
            for path, split in zip(paths, splits, strict=True)
        ]


def _looks(
    pool: ThreadPoolExecutor, files: list[str], resize: int | None
) -> tuple[bool, tuple[int, int]]:
    """Return whether all pictures are grey, and the size that they will have.

    Raises:
        Mistake: where sizes differ and no size was asked for.
    """
    grey, size = True, None
    for start in range(0, len(files), _CHUNK):
        chunk = files[start : start + _CHUNK]
        for file, seen in zip(chunk, pool.map(look, chunk), strict=True):
            size = size or seen.size
            grey = grey and seen.grey
            if resize is None and seen.size != size:
                one, other = (f"{width} x {height}" for height, width in (size, seen.size))
                raise Mistake(
                    f"{brief(files[0])} has {one} pixels, {brief(file)} {other}: "
                    "give all one size, with --resize N"
                )
    if resize is not None:
        return grey, (resize, resize)
    assert size is not None
    return grey, size
