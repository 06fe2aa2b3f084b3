"""Options that choose whose features figures of samples stand on, for every command that judges."""

from __future__ import annotations

from pathlib import Path

from jsonargparse import Namespace

from jemstone.cli.parser import Parser
from jemstone.data import DataSet
from jemstone.errors import Mistake, unknown
from jemstone.experiments import FEATURES, Judge, judge_from
from jemstone.metrics import Inception
from jemstone.metrics.inception import check_channels
from jemstone.training import Device

__all__ = ["check_eye", "eye_options", "open_eye"]


def eye_options(parser: Parser, features: str | None, by_default: str = "") -> None:
    """Add which judge looks at samples.

    Args:
        parser: of the command.
        features: its default of ``--features``; None where the command works it out.
        by_default: how, in words.
    """
    parser.add_argument("--judge", type=str | None, help="FILE.safetensors; by default the data's")
    kind, words = str if features else str | None, f"{', '.join(FEATURES)}{by_default}"
    parser.add_argument("--features", type=kind, default=features, help=words)
    parser.add_argument("--inception_weights", type=str | None, help="file; by default downloaded")


def check_eye(arguments: Namespace, features: str) -> None:
    """Refuse judges that exclude each other.

    Args:
        arguments: of :func:`eye_options`.
        features: of :data:`jemstone.experiments.FEATURES`, as the command worked it out.

    Raises:
        Mistake: for other features, or options that do not go together.
    """
    if features not in FEATURES:
        raise unknown("--features", features, FEATURES)
    if features == "inception" and arguments.judge is not None:
        raise Mistake("--features inception is a judge of its own: leave --judge away")
    if features != "inception" and arguments.inception_weights is not None:
        raise Mistake("--inception_weights needs --features inception beside it")


def open_eye(
    arguments: Namespace, features: str, data: DataSet, device: Device
) -> Judge | Inception | None:
    """Open the judge that is asked for; None for that of the data.

    Args:
        arguments: of :func:`eye_options`.
        features: of :data:`jemstone.experiments.FEATURES`, as the command worked it out.
        data: that is judged on.
        device: where Inception looks.

    Raises:
        Mistake: as :func:`check_eye` does, or where a file is no judge's.
    """
    check_eye(arguments, features)
    if features == "inception":
        check_channels(data.shape[0])
        weights = arguments.inception_weights
        return Inception.load(Path(weights) if weights else None).to(device.name)
    return judge_from(Path(arguments.judge), data) if arguments.judge else None
