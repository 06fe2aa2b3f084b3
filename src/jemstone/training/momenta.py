"""What an optimiser remembers, as named tensors."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from jemstone.errors import Mistake

__all__ = ["below", "load_momenta", "momenta"]

_MOMENTA = {"momentum_buffer", "step", "exp_avg", "exp_avg_sq"}  # of SGD and Adam


def momenta(optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Return what is remembered of each weight, as ``NUMBER.NAME``.

    Args:
        optimiser: of one group of weights.
    """
    return {
        f"{number}.{name}": torch.as_tensor(value)
        for number, slots in optimiser.state_dict()["state"].items()
        for name, value in slots.items()
        if value is not None
    }


def load_momenta(optimiser: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Restore what :func:`momenta` returned, in place of what is remembered.

    Args:
        optimiser: of one group of weights.
        tensors: by ``NUMBER.NAME``.

    Raises:
        Mistake: for names or shapes of another optimiser's.
    """
    optimiser.state.clear()
    parameters = optimiser.param_groups[0]["params"]
    for key, value in tensors.items():
        number, name = key.split(".")
        parameter = parameters[int(number)]
        if name not in _MOMENTA or int(number) < 0:
            raise Mistake(f"no optimiser here keeps '{key}'")
        if value.shape == parameter.shape:  # in the parameter's memory format
            value = torch.empty_like(parameter).copy_(value)
        elif name != "step" or value.dim():
            raise Mistake(f"the optimiser's '{key}' has another shape than its weights")
        else:  # Adam counts its steps in place
            value = value.clone()
        optimiser.state[parameter][name] = value


def below(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors whose names begin with a prefix, by the rest of them."""
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
