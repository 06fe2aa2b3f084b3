"""A process that times: each side of a race has one, with the settings that its users have."""

from __future__ import annotations

import gc
import multiprocessing
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

import torch

from jemstone.errors import Mistake, brief
from jemstone.experiments.bench.house import matrix, ours
from jemstone.experiments.bench.plain import baseline
from jemstone.experiments.bench.shares import shares
from jemstone.experiments.bench.work import Work
from jemstone.memory import keep_freed_memory
from jemstone.training import Device, choose_device

__all__ = ["Runner", "TooLong"]


class TooLong(Exception):
    """A call took longer than it may."""


class Runner:
    """One side of the race, in a process of its own.

    The library's keeps freed memory, as its command line does; the baseline's is as the system
    made it.

    Args:
        side: ``ours`` or ``baseline``.
        device: where to run.
        threads: of torch.
        seed: of weights and images.
    """

    def __init__(self, side: str, device: Device, threads: int, seed: int) -> None:
        self.arguments = (side, device, threads, seed)
        self.process: Any = None

    def start(self) -> None:
        """Start the process, unless it runs."""
        if self.process is None:
            context = multiprocessing.get_context("spawn")
            self.line, other = context.Pipe()
            self.process = context.Process(
                target=_serve, args=(other, *self.arguments), daemon=True
            )
            self.process.start()
            other.close()

    def ask(self, what: str, work: Work | None, patience: float, *, twice: bool = False) -> Any:
        """Return the seconds that something took, or for ``shares`` where they go.

        Args:
            what: ``prepare``, ``work``, ``matrix`` or ``shares``.
            work: to prepare.
            patience: seconds to wait for the answer.
            twice: make the call twice, and time the second, which finds its caches warm.

        Raises:
            TooLong: where there is none; the process is ended.
            Mistake: where the row cannot be done.
        """
        self.start()
        self.line.send((what, work, twice))
        if not self.line.poll(patience):
            self.stop()
            raise TooLong
        try:
            answer = self.line.recv()
        except EOFError:
            self.stop()
            raise Mistake("the process died: out of memory?") from None
        if isinstance(answer, str):
            raise Mistake(answer)
        return answer

    def stop(self) -> None:
        """End the process, if it runs."""
        if self.process is not None:
            self.process.terminate()
            self.process.join()
            self.line.close()
            self.process = None


def _serve(line: Connection, side: str, device: Device, threads: int, seed: int) -> None:
    torch.set_num_threads(threads)
    if side == "ours":  # with what its users have
        keep_freed_memory()
        choose_device(device.name)
    calls: dict[str, Callable[[], object]] = {}
    while True:
        try:
            what, work, twice = line.recv()
        except EOFError:
            return
        try:
            if what == "prepare":
                began = time.perf_counter()
                calls.clear()
                gc.collect()
                torch.manual_seed(seed)
                if side == "ours":
                    there = Device(device.name, work.bf16)
                    calls["work"] = ours(work, there)
                    if work.passes:
                        calls["matrix"] = matrix(work, there)
                else:
                    calls["work"] = baseline(work, Device(device.name))
                line.send(time.perf_counter() - began)
            elif what == "shares":
                line.send(shares(calls["work"]))
            else:
                line.send(_timed(calls[what], device, twice))
        except Mistake as mistake:
            line.send(str(mistake))
        except (RuntimeError, MemoryError) as error:
            line.send(f"{type(error).__name__}: {brief(error)}")


def _timed(call: Callable[[], object], device: Device, twice: bool) -> float:
    """Return the seconds of a call, or of the second of two."""
    seconds = 0.0
    for _ in range(1 + twice):
        began = time.perf_counter()
        call()
        if device.name != "cpu":
            torch.accelerator.synchronize()
        seconds = time.perf_counter() - began
    return seconds
