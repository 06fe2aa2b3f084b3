"""Images in [0, 1], by name."""

from jemstone.data.augment import Augmentation
from jemstone.data.epochs import Epochs
from jemstone.data.image_set import DataSet, Images, to_bytes
from jemstone.data.load import NAMES, data_root, fingerprint, is_flippable, load

__all__ = [
    "NAMES",
    "Augmentation",
    "DataSet",
    "Epochs",
    "Images",
    "data_root",
    "fingerprint",
    "is_flippable",
    "load",
    "to_bytes",
]
