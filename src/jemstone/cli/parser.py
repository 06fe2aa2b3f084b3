"""Arguments: typed, in either spelling, and refused in one line."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from jsonargparse import ArgumentParser, Namespace

from jemstone.errors import Mistake, brief, nearest

if TYPE_CHECKING:
    from jemstone.training import Device

__all__ = [
    "Parser",
    "choose_for_judging",
    "common_options",
    "device_options",
    "option_value",
    "positionals",
    "underscored",
]

_FLAGS = ("--help", "-h", "--print_config", "--tensorboard")


_KINDS = {"float": "number", "int": "integer", "bool": "true or false", "NoneType": "null"}


class Parser(ArgumentParser):
    """A parser of one command, whose errors are :class:`Mistake`.

    Args:
        command: its name.
        description: what it does.
        example: a line that works.
    """

    def __init__(self, command: str, description: str, example: str) -> None:
        super().__init__(
            prog=f"jemstone {command}",
            description=description,
            epilog=f"Example: {example}",
            exit_on_error=False,
            default_env=False,
            allow_abbrev=False,
        )

    def read(self, argv: Sequence[str]) -> Namespace:
        """Parse the arguments of the command.

        Raises:
            Mistake: for options that do not exist or values of another type.
        """
        try:
            return self.parse_args(list(argv))
        except Mistake:
            raise
        except Exception as error:  # jsonargparse raises what argparse, yaml and types raise
            raise Mistake(self._explained(brief(error))) from error

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Raise instead of printing the usage."""
        raise Mistake(self._explained(brief(message))) from ex

    def _explained(self, message: str) -> str:
        for kind, word in _KINDS.items():
            message = message.replace(f"<class '{kind}'>", word)
        message = re.sub(r"typing\.Literal\[(.*?)\]", r"one of \1", message)
        wrong = re.match(r'Parser key "([\w.]+)":.*? [Gg](?:ot|iven) value: (.*)', message)
        if wrong is not None:
            kinds = dict.fromkeys(re.findall(r"Expected an? (.+?)(?:\. | - | Given|$)", message))
            wanted = " or ".join(kinds)
            return f"--{wrong[1]} takes {wanted}, not '{wrong[2]}'"
        absent = re.match(r"the following arguments are required: (.*)", message)
        if absent is not None:
            return f"{self.prog} needs {absent[1]}: see {self.prog} --help"
        stranger = re.match(r"[Uu]nrecognized arguments: --([\w.\-]+)", message)
        if stranger is None:
            return message
        known = [
            option.removeprefix("--")
            for action in self._actions
            for option in action.option_strings
            if option.startswith("--")
        ]
        if stranger[1] in known:
            return f"--{stranger[1]} takes no such value: see {self.prog} --help"
        guess = nearest(stranger[1], known)
        hint = f": did you mean --{guess}?" if guess else f": see {self.prog} --help"
        return f"no option --{stranger[1]}{hint}"


def underscored(argv: Sequence[str]) -> list[str]:
    """Spell options with underscores: ``--data-root`` is ``--data_root``.

    >>> underscored(["--data-root", "a-b", "--attack.step-size=1e-3", "-h"])
    ['--data_root', 'a-b', '--attack.step_size=1e-3', '-h']
    """

    def spelt(token: str) -> str:
        if not token.startswith("--"):
            return token
        name, equals, value = token[2:].partition("=")
        return f"--{name.replace('-', '_')}{equals}{value}"

    return [spelt(token) for token in argv]


def option_value(argv: Sequence[str], name: str, default: Any = None) -> Any:
    """Look for an option's value before the parser that needs it can be built.

    >>> option_value(["robust-jem", "--data", "digits"], "data")
    'digits'
    """
    value = default
    for token, after in zip(argv, [*argv[1:], None], strict=True):
        if token == f"--{name}" and after is not None:
            value = after
        elif token.startswith(f"--{name}="):
            value = token.partition("=")[2]
    return value


def positionals(argv: Sequence[str]) -> list[str]:
    """Return the arguments that are neither options nor their values.

    >>> positionals(["--seed", "1", "robust-jem", "--out=a"])
    ['robust-jem']
    """
    found, skip = [], False
    for token in argv:
        if skip:
            skip = False
        elif token.startswith("-"):
            skip = "=" not in token and token not in _FLAGS
        else:
            found.append(token)
    return found


def choose_for_judging(device: str, precision: str) -> Device:
    """Choose where a trained model runs: in float32 unless bf16 is asked for."""
    from jemstone.training import choose_device

    return choose_device(device, "fp32" if precision == "auto" else precision)


def common_options(parser: Parser) -> None:
    """Add what every command that computes takes."""
    device_options(parser)
    parser.add_argument("--seed", type=int, default=0, help="of everything random")


def device_options(parser: Parser) -> None:
    """Add where to run, and in which precision."""
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or mps")
    parser.add_argument(
        "--precision",
        default="auto",
        help="auto, fp32 or bf16; auto trains in bf16 if it can",
    )
