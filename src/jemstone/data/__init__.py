"""Images in [0, 1], by name."""

from jemstone.data.augment import Augmentation
from jemstone.data.epochs import Epochs
from jemstone.data.image_set import DataSet, Images, to_bytes
from jemstone.data.load import NAMES, data_root, fingerprint, is_flippable, load
from jemstone.data.toys import TOYS, Toy

__all__ = [
    "NAMES",
    "TOYS",
    "Augmentation",
    "DataSet",
    "Epochs",
    "Images",
    "Toy",
    "data_root",
    "fingerprint",
    "is_flippable",
    "load",
    "to_bytes",
]
