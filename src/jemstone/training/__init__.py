"""One loop, its state, and when it goes back or gives up."""

from jemstone.training.device import Device, choose_device, processor
from jemstone.training.gallery import Gallery, chains_shown, grid, labels_shown, write_grid
from jemstone.training.guard import Diverged, Guard, Guarding
from jemstone.training.listeners import Interrupted, Listener, Quiet
from jemstone.training.loop import released, train
from jemstone.training.optimisation import Optimisation
from jemstone.training.processes import Processes, join
from jemstone.training.run_folder import RunFolder
from jemstone.training.state import TRAIL, TrainingState, chains_files, read_record
from jemstone.training.tensorboard import TensorBoard, check_tensorboard

__all__ = [
    "TRAIL",
    "Device",
    "Diverged",
    "Gallery",
    "Guard",
    "Guarding",
    "Interrupted",
    "Listener",
    "Optimisation",
    "Processes",
    "Quiet",
    "RunFolder",
    "TensorBoard",
    "TrainingState",
    "chains_files",
    "chains_shown",
    "check_tensorboard",
    "choose_device",
    "grid",
    "join",
    "labels_shown",
    "processor",
    "read_record",
    "released",
    "train",
    "write_grid",
]
