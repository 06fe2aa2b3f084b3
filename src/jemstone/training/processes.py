"""The processes that train one model together: one alone, or those that ``torchrun`` started.

What is numbered is dealt by turns: of W processes, process r has images r, r + W, r + 2W, ... of
every batch, and those slots of each class's chains. An image's randomness goes by its number in
the joint batch, so W processes train on the very images and noise that one process would.
"""

from __future__ import annotations

import functools
import gc
import os
import secrets
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed import PrefixStore, Store  # type: ignore[attr-defined]
from torch.distributed.rendezvous import rendezvous
from torch.nn.parallel import DistributedDataParallel

from jemstone.errors import Mistake
from jemstone.types import Batch, EnergyModel, Generator, Loss, Objective

__all__ = ["Processes", "join", "meet"]

# While the first reads data, fits Gaussians or trains a judge, the others wait for it.
_PATIENCE = timedelta(days=7)

T = TypeVar("T")

_KINDS = (torch.bool, torch.float32, torch.float64)  # of what processes tell each other
_DIMENSIONS = 6  # of it, at most, beside that of images
_LINE = 1000  # bytes of a mistake
_PAUSE = 0.05  # seconds between two looks for the others


@dataclass(frozen=True)
class Processes:
    """This process among those that train together. Alone, it agrees with itself at no cost.

    Args:
        rank: r, this one's number, from 0.
        world: W, how many there are.
    """

    rank: int = 0
    world: int = 1

    @property
    def leads(self) -> bool:
        """Tell whether this is the one that writes what there is one of."""
        return self.rank == 0

    @property
    def share(self) -> slice:
        """What is this process's of all that is numbered.

        >>> "abcdefg"[Processes(1, 3).share]
        'be'
        """
        return slice(self.rank, None, self.world)

    def loss(self, model: nn.Module, objective: Objective) -> Callable[[Batch, Generator], Loss]:
        """Return the loss of a batch, whose gradients are averaged over all processes.

        Walks go through the bare model and leave no gradient behind; only one pass is wrapped.

        Args:
            model: the network, the same in every process from here on.
            objective: of this process's share of the batch.
        """
        if self.world == 1:
            return functools.partial(objective, model)  # type: ignore[arg-type]
        return DistributedDataParallel(_Loss(model, objective))

    def mean(self, terms: Mapping[str, Tensor], weight: float) -> dict[str, Tensor]:
        """Average numbers over all processes.

        Args:
            terms: scalars; every process has the same names, in the same order.
            weight: of this process's; all weights together are 1.
        """
        if self.world == 1:
            return dict(terms)
        values = weight * torch.stack([term.detach().float() for term in terms.values()])
        dist.all_reduce(values)
        return dict(zip(terms, values, strict=True))

    def align(self, model: nn.Module) -> None:
        """Give all processes the first one's running statistics, as before every step."""
        if self.world > 1:
            for values in model.buffers():
                dist.broadcast(values, 0)

    def any(self, flag: bool) -> bool:
        """Tell, in all processes alike, whether one says yes."""
        if self.world == 1:
            return flag
        votes = torch.tensor(int(flag))
        dist.all_reduce(votes, dist.ReduceOp.MAX)
        return bool(votes)

    def total(self, count: int) -> int:
        """Return the sum of what each process counts."""
        if self.world == 1:
            return count
        sums = torch.tensor([count])
        dist.all_reduce(sums)
        return int(sums)

    def wait(self) -> None:
        """Return once every process is here."""
        self.any(False)

    def join_shares(self, mine: Tensor, count: int) -> Tensor:
        """Put together what was dealt, (count, ...), in every process.

        Args:
            mine: what this process made of its share, on the processor.
            count: of the whole.
        """
        if self.world == 1:
            return mine
        whole = mine.new_zeros(count, *mine.shape[1:])
        whole[self.share] = mine
        dist.all_reduce(whole)  # of each row, all terms but one are zero
        return whole

    def deal(self, work: Callable[[Tensor], Tensor], count: int, batch_size: int) -> Tensor:
        """Go through images, each batch in one process; return what came of all, in every one.

        Batches are those of one process, dealt by turns, so that what is found is the same to the
        last digit. A :class:`~jemstone.metrics.Deal`.

        Args:
            work: of the places of a batch, int64 (B,), to a row for each image (B, ...), bool or
                float, on the processor.
            count: N, at least 1.
            batch_size: images in a batch, but for the last one.

        Raises:
            Mistake: in every process, where one of them raised it.
        """
        batches = torch.arange(count).split(batch_size)[self.share]
        if self.world == 1:
            return torch.cat([work(places) for places in batches])
        rows: list[Tensor] = []
        mistake: Mistake | None = None
        try:
            rows = [work(places) for places in batches]
        except Mistake as error:
            mistake = error
        self._tell(mistake)
        whole, kind = self._room(rows, count)
        for places, made in zip(batches, rows, strict=True):
            whole[places] = made.to(whole.dtype)
        dist.all_reduce(whole)
        return whole.to(kind)

    def _tell(self, mistake: Mistake | None) -> None:
        """Raise what a process found in all of them."""
        first = torch.tensor(self.world if mistake is None else self.rank)
        dist.all_reduce(first, dist.ReduceOp.MIN)
        if int(first) == self.world:
            return
        line = torch.zeros(_LINE, dtype=torch.uint8)
        if int(first) == self.rank:
            told = str(mistake).encode()[:_LINE]
            line[: len(told)] = torch.tensor(list(told), dtype=torch.uint8)
        dist.broadcast(line, int(first))
        raise Mistake(bytes(line.tolist()).rstrip(b"\0").decode(errors="replace"))

    def _room(self, rows: list[Tensor], count: int) -> tuple[Tensor, torch.dtype]:
        """Return zeros for all rows, and their type: the first process has some, others may not."""
        about = torch.zeros(2 + _DIMENSIONS, dtype=torch.int64)
        if self.leads:
            row = rows[0][0]
            numbers = [_KINDS.index(row.dtype), row.dim(), *row.shape]
            about[: len(numbers)] = torch.tensor(numbers)
        dist.broadcast(about, 0)
        number, dimensions, *sizes = about.tolist()
        kind = _KINDS[number]
        sent = torch.uint8 if kind == torch.bool else kind
        return torch.zeros(count, *sizes[:dimensions], dtype=sent), kind

    def in_turn(self, work: Callable[[], T]) -> T:
        """Let the first process do it before the others, who find on disk what it left.

        Raises:
            Mistake: in every process, where one of them could not do it.
        """
        if self.world == 1:
            return work()
        if self.leads:
            try:
                done = work()
            except BaseException:
                self.any(True)
                raise
            self.any(False)
            self._tell(None)
            return done
        if self.any(False):
            raise Mistake("the first process says what is wrong")
        mistake: Mistake | None = None
        try:
            done = work()
        except Mistake as error:
            mistake = error
        self._tell(mistake)
        return done


class _Loss(nn.Module):
    """An objective as a module, which can be wrapped."""

    def __init__(self, model: nn.Module, objective: Objective) -> None:
        super().__init__()
        self.model = model
        self.objective = objective

    def forward(self, batch: Batch, generator: Generator) -> Loss:
        model: EnergyModel = self.model  # type: ignore[assignment]
        return self.objective(model, batch, generator)


def meet(store: Store, rank: int, world: int) -> str:
    """Agree on a name that no former processes have used.

    After a death, ``torchrun`` gives new processes the store of the former ones. Their addresses
    are still in it, and whoever comes early would call the dead
    (https://github.com/pytorch/pytorch/issues/135712). So each says who it is, the first lists who
    is here, anew until all have found themselves on the list, and its name is that of the round.

    Args:
        store: that all processes see, with whatever is in it.
        rank: this one's number.
        world: how many there are.
    """
    me = secrets.token_hex(8)
    store.set(f"here/{rank}", me)
    if rank == 0:
        while store.add(f"found/{me}", 0) < world - 1:
            store.set("list", " ".join(store.get(f"here/{n}").decode() for n in range(world)))
            time.sleep(_PAUSE)
        return me
    here: list[str] = []
    while here[rank : rank + 1] != [me]:
        time.sleep(_PAUSE)
        here = store.get("list").decode().split()
    store.add(f"found/{here[0]}", 1)
    return here[0]


@contextmanager
def join() -> Iterator[Processes]:
    """Meet the other processes of ``torchrun``, each with a GPU of its own where there are any.

    Raises:
        Mistake: where a machine has fewer GPUs than processes.
    """
    # Job schedulers set WORLD_SIZE too, for single processes; the run's id is torchrun's alone.
    world = int(os.environ["WORLD_SIZE"]) if "TORCHELASTIC_RUN_ID" in os.environ else 1
    if world == 1:
        yield Processes()
        return
    if torch.cuda.is_available():
        here, gpus = int(os.environ["LOCAL_WORLD_SIZE"]), torch.cuda.device_count()
        if here > gpus:
            raise Mistake(f"this machine has {gpus} GPUs: use --nproc-per-node {gpus}, not {here}")
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    store, rank, world = next(rendezvous("env://"))
    dist.init_process_group(
        "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo",
        store=PrefixStore(meet(store, rank, world), store),
        rank=rank,
        world_size=world,
        timeout=_PATIENCE,
    )
    try:
        yield Processes(rank, world)
    except BaseException as error:
        told: BaseException | None = error
        while told is not None:
            traceback.clear_frames(told.__traceback__)  # which keep the wrapped model alive
            told = told.__cause__ or told.__context__
        raise
    finally:
        # Work that outlives the wrapper needs the interpreter when it dies, and gloo's thread may
        # come to that after the interpreter has gone: so all of it goes first, then the group.
        gc.collect()
        dist.destroy_process_group()
