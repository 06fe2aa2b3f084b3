"""Somebody else's classifier: built by a function they name, filled with weights they give."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from pathlib import Path

from torch import nn

from jemstone.errors import Mistake, brief
from jemstone.files import read_tensors
from jemstone.model import JointEnergyModel

__all__ = ["load_classifier"]


def load_classifier(
    factory: str,
    weights: Path,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
) -> JointEnergyModel:
    """Build a classifier and read it as an energy.

    Args:
        factory: ``pkg.module:function``, whose call without arguments returns the network, images
            (B, C, H, W) to logits (B, K), or a :class:`JointEnergyModel`. The folder one stands
            in is looked into first.
        weights: a safetensors file with the network's ``state_dict``.
        mean: what the network's normalisation subtracts from [0, 1] pixels, if that is not inside
            the network; one number, or one for each channel.
        std: what it divides by.

    Raises:
        Mistake: where the function is not there or fails, or the weights do not fit.
    """
    network = _built(factory)
    if weights.suffix != ".safetensors":
        raise Mistake(
            f"{weights.name} is not read, since only safetensors files hold no code: write one "
            "with safetensors.torch.save_file(model.state_dict(), 'FILE.safetensors')"
        )
    tensors = read_tensors(weights)
    if std is not None and not all(number > 0 for number in std):
        raise Mistake(f"--std is above zero, unlike some of {list(std)}")
    try:
        network.load_state_dict(tensors)
    except Exception as error:  # a network may load its weights in its own way
        raise Mistake(f"{weights} does not fit {factory}: {brief(error)}") from error
    if isinstance(network, JointEnergyModel):
        if mean is not None or std is not None:
            raise Mistake(f"{factory} builds a JointEnergyModel, which has its own normalisation")
        return network.eval()
    return JointEnergyModel(network, mean, std).eval()


def _built(factory: str) -> nn.Module:
    """Call the function, and hold what it returns to be a network."""
    module, colon, name = factory.partition(":")
    if not (module and colon and name):
        raise Mistake(f"--model is pkg.module:function, not '{factory}'")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        imported = importlib.import_module(module)
    except SystemExit as error:
        raise Mistake(
            f"{module} cannot be imported, since it is a program that ends itself: put that under "
            'if __name__ == "__main__"'
        ) from error
    except Exception as error:  # whatever somebody's module raises
        raise Mistake(f"{module} cannot be imported: {brief(error)}") from error
    if not hasattr(imported, name):
        raise Mistake(f"the module {module} has no function {name}")
    try:
        network = getattr(imported, name)()
    except SystemExit as error:
        raise Mistake(f"{factory}() failed: it ends the program") from error
    except Exception as error:
        raise Mistake(f"{factory}() failed: {brief(error)}") from error
    if not isinstance(network, nn.Module):
        raise Mistake(f"{factory}() returns a {type(network).__name__}, not a torch.nn.Module")
    return network
