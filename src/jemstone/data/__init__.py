"""Images in [0, 1], by name, file or folder."""

from jemstone.data.augment import Augmentation
from jemstone.data.cache import cache_folder
from jemstone.data.epochs import Epochs
from jemstone.data.image_set import DataSet, Images, UnknownSet, fingerprint, firsts, to_bytes
from jemstone.data.load import NAMES, data_root, is_flippable, load, load_unknown, set_name
from jemstone.data.toys import TOYS, Toy
from jemstone.data.unknown import UNKNOWN, unknown_like

__all__ = [
    "NAMES",
    "TOYS",
    "UNKNOWN",
    "Augmentation",
    "DataSet",
    "Epochs",
    "Images",
    "Toy",
    "UnknownSet",
    "cache_folder",
    "data_root",
    "fingerprint",
    "firsts",
    "is_flippable",
    "load",
    "load_unknown",
    "set_name",
    "to_bytes",
    "unknown_like",
]
