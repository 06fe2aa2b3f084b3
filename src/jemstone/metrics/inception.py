"""Inception as the eye: features and logits that figures of papers are made of.

The network is torch-fidelity's, which repeats TensorFlow's to the bit: its bilinear enlargement to
299x299 and its pooling. Its weights are a pickle, so before anything reads them they are held to
what is published of their SHA-256, its first eight digits, and then they are read as tensors alone.

References:
    Szegedy et al., "Rethinking the Inception architecture for computer vision", 2016,
    https://arxiv.org/abs/1512.00567
    Obukhov et al., torch-fidelity, https://github.com/toshas/torch-fidelity
"""

from __future__ import annotations

import hashlib
import http.client
import io
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from jemstone.data import to_bytes
from jemstone.errors import Mistake, brief
from jemstone.files import is_file
from jemstone.memory import refuse_beyond_memory

__all__ = ["Inception", "check_channels"]

_FILE = "weights-inception-2015-12-05-6726825d.pth"
_DIGEST = "6726825d"  # how the SHA-256 of that file begins
_AT_ONCE = 32  # images; enlarged to 299x299, each takes tens of megabytes on its way


class Inception(nn.Module):
    """See images as Inception does: ``2048`` features, and ``logits_unbiased`` of 1,008 classes.

    Pixels are rounded to bytes, as in a saved file; grey images are shown as grey ones of three
    channels. Its classes are ImageNet's, so it cannot tell whether a sample shows its label.

    Args:
        network: bytes (B, 3, H, W) to features (B, D) and logits (B, K).
        sha256: of the file of its weights.
    """

    name = "inception (torch-fidelity)"
    knows_classes = False

    def __init__(self, network: nn.Module, sha256: str) -> None:
        super().__init__()
        self.network = network
        self.sha256 = sha256

    @classmethod
    def load(cls, path: Path | None = None) -> Inception:
        """Load the published weights.

        Args:
            path: of the file; by default that in torch.hub's cache, to which it is downloaded
                where it is absent.

        Raises:
            Mistake: where the file is not there and cannot be had, or is another one.
        """
        content = _read(_downloaded() if path is None else path)
        digest = hashlib.sha256(content).hexdigest()
        if not digest.startswith(_DIGEST):
            raise Mistake(
                f"{path or _home()} is not torch-fidelity's {_FILE}: its SHA-256 begins with "
                f"{digest[:8]}, not with {_DIGEST}"
            )
        try:
            weights = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
            network = _network(weights)
        except Exception as error:  # pickle, zip and torch each have their own
            raise Mistake(f"{path or _home()} holds other weights: {brief(error)}") from error
        return cls(network, digest).eval()

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Map images (B, C, H, W) in [0, 1] to features (B, D) and logits (B, K).

        Args:
            x: grey or colour images.

        Raises:
            Mistake: for another number of channels than 1 or 3.
        """
        check_channels(x.shape[1])
        shown = to_bytes(x).expand(-1, 3, -1, -1)
        answers = [self.network(part) for part in shown.split(_AT_ONCE)]
        features, logits = (torch.cat(parts) for parts in zip(*answers, strict=True))
        return features, logits


def _network(weights: dict[str, Tensor]) -> nn.Module:
    """Return torch-fidelity's network with these weights.

    It reads its file as a pickle of any kind, so it gets one that holds these tensors alone.
    """
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    file = io.BytesIO()
    torch.save({name: tensor.detach() for name, tensor in weights.items()}, file)
    file.seek(0)
    network: nn.Module = FeatureExtractorInceptionV3(
        "inception-v3-compat", ["2048", "logits_unbiased"], feature_extractor_weights_path=file
    )
    return network


def check_channels(channels: int) -> None:
    """Refuse images that are neither grey nor colour.

    Raises:
        Mistake: for another number of channels than 1 or 3.
    """
    if channels not in (1, 3):
        raise Mistake(f"Inception sees images of 1 or 3 channels, not of {channels}")


def _read(path: Path) -> bytes:
    """Read a file of weights whole, so that what is checked is what is used."""
    if not is_file(path):
        raise Mistake(f"{path} is not there: --inception-weights names a copy of {_FILE}")
    try:
        refuse_beyond_memory(path.stat().st_size, str(path))
        return path.read_bytes()
    except OSError as error:
        raise Mistake(f"{path} is not readable: {brief(error)}") from error


def _home() -> Path:
    """Return where torch.hub keeps the weights."""
    return Path(torch.hub.get_dir()) / "checkpoints" / _FILE


def _downloaded() -> Path:
    """Return the file in torch.hub's cache, downloaded now if it is not there."""
    from torch_fidelity.feature_extractor_inceptionv3 import URL_INCEPTION_V3

    home = _home()
    if is_file(home):
        return home
    hub: Any = torch.hub
    try:
        home.parent.mkdir(parents=True, exist_ok=True)
        hub.download_url_to_file(URL_INCEPTION_V3, str(home), hash_prefix=_DIGEST, progress=False)
    except (OSError, RuntimeError, http.client.HTTPException) as error:
        raise Mistake(
            f"Inception's weights could not be downloaded ({brief(error)}): put {_FILE} into "
            f"{home.parent}, or name it with --inception-weights"
        ) from error
    return home
