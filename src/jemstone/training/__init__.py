"""One loop, its state, and when it gives up."""

from jemstone.training.device import Device, choose_device
from jemstone.training.guard import Diverged, Guard
from jemstone.training.loop import Interrupted, Listener, released, train
from jemstone.training.optimisation import Optimisation
from jemstone.training.run_folder import RunFolder, write_grid
from jemstone.training.state import TrainingState, read_record

__all__ = [
    "Device",
    "Diverged",
    "Guard",
    "Interrupted",
    "Listener",
    "Optimisation",
    "RunFolder",
    "TrainingState",
    "choose_device",
    "read_record",
    "released",
    "train",
    "write_grid",
]
