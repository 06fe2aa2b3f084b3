"""What each process of the tests' `torchrun` does: `python workers.py FOLDER`."""

import sys
from pathlib import Path

import pytest
import torch

from jemstone.data import Augmentation, DataSet, Images, load
from jemstone.errors import Mistake
from jemstone.experiments import Settings, case_of, judge_case, judge_purification, suites
from jemstone.files import write_json, write_tensors
from jemstone.functional.balls import Linf
from jemstone.model import JointEnergyModel
from jemstone.nn import ConvNet, WideResNet
from jemstone.objectives import AdversarialCrossEntropy, CrossEntropy, MaximumLikelihood, Sum
from jemstone.random import Generator
from jemstone.samplers import PGD, PYLD, SGLD, Persistent, ReplayBuffer, Uniform
from jemstone.training import Optimisation, Processes, TrainingState, join, train

SHAPE = (1, 8, 8)
CLASSES = 3
CASES = ("none", "group", "frozen", "odd", "batch")


class Frozen(JointEnergyModel):
    """Batch norm that keeps to its running statistics while it trains."""

    def train(self, mode=True):
        return super().train(False)


def build(case, processes, steps=1, seed=0, ema=0.0):
    """Return a state, and a call that trains it by every objective, with all noise."""
    torch.manual_seed(seed + processes.rank)  # what differs is made the first process's
    kind = Frozen if case == "frozen" else JointEnergyModel
    norm = {"frozen": "batch", "odd": "none"}.get(case, case)
    model = kind(WideResNet(1, CLASSES, depth=10, width=1, norm=norm), 0.5, 0.5)
    buffer = ReplayBuffer(Uniform(SHAPE), 30, CLASSES, 0.3, Generator(7 + seed), processes.share)
    walk = PYLD(2, 2, 0.05, 0.01, clip=2.0)
    objective = Sum(
        (1.0, CrossEntropy(0.02)),
        (0.5, AdversarialCrossEntropy(PGD(Linf(0.1), 1, 0.1, random_start=True))),
        (1.0, MaximumLikelihood(Persistent(buffer, walk), CLASSES, noise=0.02)),
    )
    batch_size = 9 if case == "odd" else 8
    optimisation = Optimisation(learning_rate=0.1, batch_size=batch_size, steps=steps, ema=ema)
    labels = torch.arange(40) % CLASSES
    pixels = Generator(9).integers(40 * 64, 256).reshape(40, *SHAPE).to(torch.uint8)
    state = TrainingState(model, optimisation.build(model), buffer, processes=processes)

    def go(listener):
        train(
            state,
            objective,
            Images(pixels, labels),
            optimisation,
            [listener],
            Generator(5),
            augmentation=Augmentation(padding=1, flip=True),
            log_every=1,
            checkpoint_every=2,
        )

    return state, go


def gradients(case, processes, steps=1):
    """Take steps; return the last one's gradients, weights and metrics."""
    state, go = build(case, processes, steps)
    # The same chain in each slot of a class, so that it does not matter which one is drawn.
    chains = Uniform(SHAPE)(torch.arange(CLASSES), Generator(8))
    state.buffer.images = chains.repeat_interleave(state.buffer.slots_per_class, dim=0)
    heard = Listener()
    go(heard)
    grads = {f"grad.{k}": v.grad for k, v in state.model.named_parameters()}
    weights = {f"weight.{k}": v for k, v in state.model.named_parameters()}
    return grads | weights | heard.metrics


def resumed(processes, folder):
    """Train four steps, and again from the second; return what each remembers at the end."""
    whole, go = build("batch", processes, steps=4, ema=0.9)
    go(Listener(folder))
    again, go = build("batch", processes, steps=4, ema=0.9, seed=1)
    again.load(folder / "checkpoints/000002")
    go(Listener())
    remembered = []
    for state in (whole, again):
        weights = {f"weight.{k}": v for k, v in state.model.named_parameters()}
        average = {f"average.{k}": v for k, v in state.average.named_parameters()}
        remembered.append(weights | average | {"chains": state.buffer.images})
    return remembered


class Listener:
    """Keeps the metrics, but for the time; and checkpoints, if it is given a folder."""

    def __init__(self, run=None):
        self.run, self.metrics = run, {}

    def on_metrics(self, step, metrics):
        self.metrics = {f"metric.{k}": torch.tensor(v) for k, v in metrics.items()}
        del self.metrics["metric.seconds_per_step"]

    def on_checkpoint(self, state, model):
        if self.run is not None:
            state.save(self.run / "checkpoint", model)

    def wants_stop(self):
        return False


def state(processes=None, seed=0):
    """Build a state with five chains a class, which two processes cannot share evenly."""
    processes = processes or Processes()
    torch.manual_seed(seed)
    model = JointEnergyModel(ConvNet(1, CLASSES, width=2))
    chains = Generator(seed)
    buffer = ReplayBuffer(Uniform(SHAPE), 5 * CLASSES, CLASSES, 0.1, chains, processes.share)
    return TrainingState(model, Optimisation().build(model), buffer, processes=processes)


def judged(processes):
    """Judge a classifier in full, with few steps; return every figure but the time."""
    suites._DETECTION_STEPS, suites._DETECTION_BATCH = 1, 7
    suites._ATTACK = {"steps": 4, "restarts": 1, "queries": 9, "autoattack_steps": 2}
    suites._ATTACK["batch_size"] = 3
    torch.manual_seed(0)
    model = JointEnergyModel(ConvNet(1, 10, width=4)).eval()
    digits = load("digits")
    data = DataSet("digits", digits.train.first(60), digits.test.first(40), digits.classes, False)
    settings = Settings("full", attacked=7, unknown=("constant",), strangers=20)
    figures = judge_case(case_of(model, data, settings, processes=processes)).figures
    del figures["seconds"]
    walk = SGLD(2, 0.1, 0.01)
    images = data.test.first(5)
    figures["purification"] = judge_purification(
        model,
        walk,
        images.x,
        images.labels,
        eps=[0.1],
        steps=1,
        repetitions=15,
        batch_size=2,
        deal=processes.deal,
    )
    return figures


def check_deals(processes):
    """Check what is dealt: of every type, fewer batches than processes, and a mistake."""
    for count, batch_size in ((7, 2), (7, 3), (3, 5), (1, 1)):
        for kind in (torch.bool, torch.float32, torch.float64):
            rows = (torch.arange(count)[:, None] * torch.ones(4) % 3).to(kind)
            dealt = processes.deal(lambda places, rows=rows: rows[places], count, batch_size)
            assert torch.equal(dealt, rows), (count, batch_size, kind)
    for place in (0, 19):  # of the batch of the first process, and of the second
        told = []

        def work(places, place=place, told=told):
            if place in places:
                told.append(1)
                raise Mistake("what one found")
            return torch.ones(len(places))

        with pytest.raises(Mistake, match="what one found"):
            processes.deal(work, 20, 10)
        assert len(told) == (processes.rank == (place > 9))


def lacking(rank):
    """Stand for what one machine has and another lacks."""
    if rank:
        raise Mistake("what the second lacks")


def main(folder):
    for name in ("run", "two", "again"):
        (folder / name).mkdir(exist_ok=True)
    with join() as processes:
        for case in CASES:
            # Batch norm sees other batches, so it is watched a little longer.
            tensors = gradients(case, processes, steps=3 if case == "batch" else 1)
            write_tensors(folder / f"{case}-{processes.rank}.safetensors", tensors)
        for name, tensors in zip(
            ("whole", "resumed"), resumed(processes, folder / "run"), strict=True
        ):
            write_tensors(folder / f"{name}-{processes.rank}.safetensors", tensors)
        first = state(processes)
        first.save(folder / "two/checkpoint", first.model)
        again = state(processes, seed=1)
        again.load(folder / "one/checkpoint")
        again.save(folder / "again/checkpoint", again.model)
        stops = [processes.any(vote) for vote in (False, processes.rank == 1, True)]
        assert stops == [False, True, True]
        numbers = torch.arange(7.0)[:, None] * torch.ones(2)
        assert torch.equal(processes.join_shares(numbers[processes.share], 7), numbers)
        check_deals(processes)
        with pytest.raises(Mistake, match="what the second lacks"):
            processes.in_turn(lambda: lacking(processes.rank))
        write_json(folder / f"judged-{processes.rank}.json", judged(processes))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
