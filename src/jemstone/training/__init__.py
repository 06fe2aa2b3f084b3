"""One loop, its state, and when it goes back or gives up."""

from jemstone.training.device import Device, choose_device
from jemstone.training.guard import Diverged, Guard, Guarding
from jemstone.training.loop import Interrupted, Listener, released, train
from jemstone.training.optimisation import Optimisation
from jemstone.training.processes import Processes, join
from jemstone.training.run_folder import RunFolder, write_grid
from jemstone.training.state import TrainingState, chains_files, read_record

__all__ = [
    "Device",
    "Diverged",
    "Guard",
    "Guarding",
    "Interrupted",
    "Listener",
    "Optimisation",
    "Processes",
    "RunFolder",
    "TrainingState",
    "chains_files",
    "choose_device",
    "join",
    "read_record",
    "released",
    "train",
    "write_grid",
]
