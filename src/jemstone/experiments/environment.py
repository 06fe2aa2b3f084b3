"""What a run's ``environment.json`` says: the data, the seed and the machine it began on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jemstone.errors import Mistake

__all__ = ["check_environment"]

_NEEDED: dict[str, tuple[type, ...]] = {
    "data": (str,),
    "data_root": (str, type(None)),
    "data_fingerprint": (str,),
    "seed": (int,),
    "checkpoint_every": (int,),
    "device": (str,),
    "bf16": (bool,),
}
_LATER: dict[str, tuple[type, ...]] = {  # what runs of older versions lack
    "resize": (int, type(None)),
    "grid_every": (int, type(None)),
    "tensorboard": (bool,),
    "commit": (str, type(None)),
}


def check_environment(environment: Any, file: Path) -> None:
    """Refuse an environment that lacks something, or says it in another type.

    Args:
        environment: as JSON gave it.
        file: where it was read.

    Raises:
        Mistake: where it is not that of a run.
    """
    if not isinstance(environment, dict) or not environment.keys() >= _NEEDED.keys():
        raise Mistake(f"{file} is not that of a run")
    for name, kinds in (_NEEDED | _LATER).items():
        if name in environment and type(environment[name]) not in kinds:
            raise Mistake(f"{file}: {name} is not what a run writes there")
    for name in ("checkpoint_every", "grid_every"):
        every = environment.get(name)
        if every is not None and every < 1:
            raise Mistake(f"{file}: {name} is 1 or more")
