"""Images in [0, 1], by name."""

from jemstone.data.augment import Augmentation
from jemstone.data.epochs import Epochs
from jemstone.data.image_set import DataSet, Images, to_bytes
from jemstone.data.load import NAMES, data_root, fingerprint, is_flippable, load
from jemstone.data.unknown import UNKNOWN, load_unknown

__all__ = [
    "NAMES",
    "UNKNOWN",
    "Augmentation",
    "DataSet",
    "Epochs",
    "Images",
    "data_root",
    "fingerprint",
    "is_flippable",
    "load",
    "load_unknown",
    "to_bytes",
]
