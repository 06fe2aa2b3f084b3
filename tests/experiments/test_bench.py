"""A benchmark's rows run on both sides, and its figures are what they claim to be."""

import itertools
from dataclasses import replace

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from jemstone.cli import main
from jemstone.errors import Mistake
from jemstone.experiments.bench import race, runner, table
from jemstone.experiments.bench.house import matrix, ours
from jemstone.experiments.bench.plain import baseline
from jemstone.experiments.bench.roofline import matrix_work
from jemstone.experiments.bench.runner import TooLong
from jemstone.experiments.bench.shares import shares
from jemstone.experiments.bench.work import Work
from jemstone.model import JointEnergyModel
from jemstone.nn import WideResNet
from jemstone.training import Device

QUICK = {work.name: work for work in table(quick=True, bf16=False) if work.norm == "batch"}


@pytest.mark.parametrize("name", QUICK)
def test_every_row_runs_on_both_sides(name):
    work = QUICK[name]
    ours(work, Device())()
    try:
        plain = baseline(work, Device())
    except Mistake as mistake:
        assert name == "attack:foolbox"
        pytest.skip(str(mistake))
    plain()


def test_the_table_has_every_network_norm_and_precision():
    rows = list(table(quick=False, bf16=True))
    assert len(set(rows)) == len(rows)
    for network, norm, bf16 in itertools.product(
        ((10, 2), (16, 4)), ("batch", "none"), (False, True)
    ):
        names = {
            row.name
            for row in rows
            if ((row.depth, row.width), row.norm, row.bf16, row.batch) == (network, norm, bf16, 64)
        }
        assert {"iteration:jempp", "walk:eval", "sampling:combined", "attack:plain"} <= names
    assert not any(row.bf16 for row in table(quick=False, bf16=False))
    assert {(row.depth, row.batch) for row in rows} >= {(28, 16), (28, 64), (16, 256)}


def test_the_roofline_is_the_work_of_a_pass_in_its_layers():
    model = JointEnergyModel(WideResNet(3, 5, 10, 1, "batch")).eval()
    x = 1.0 * torch.rand(4, 3, 8, 8).requires_grad_()  # no leaf: the counter's hooks forbid it
    with FlopCounterMode(display=False) as whole:
        torch.autograd.grad(model.energy(x).sum(), x)
    work = matrix_work(model, x)
    with FlopCounterMode(display=False) as alone:
        work()
    assert alone.get_total_flops() == whole.get_total_flops()
    assert not any(module._forward_pre_hooks for module in model.modules())
    matrix(QUICK["walk:eval"], Device())()


class Side:
    """Stands in for a process: answers with the seconds it is told to."""

    def __init__(self, answers):
        self.answers, self.asked, self.twice = answers, [], []

    def ask(self, what, work, patience, *, twice=False):
        self.asked.append(what)
        self.twice.append(twice)
        answer = self.answers[what]
        if isinstance(answer, Exception):
            raise answer
        return next(answer) if hasattr(answer, "__next__") else answer

    def stop(self):
        pass


@pytest.fixture
def raced(monkeypatch):
    def run(work, plain, house, **options):
        sides = {"baseline": Side(plain), "ours": Side(house)}
        monkeypatch.setattr(race, "Runner", lambda side, *rest: sides[side])
        return race.bench([work], Device(), **options)["rows"][0], sides

    return run


def test_figures_are_medians_over_rounds(raced):
    times = itertools.chain([99.0], itertools.cycle([4.0, 8.0, 6.0]))  # the first warms up
    house = {"prepare": 0.0, "work": 2.0, "matrix": 0.25}
    row, sides = raced(Work("walk:eval"), {"prepare": 0.0, "work": times}, house, rounds=3)
    assert (row["baseline_s"], row["ours_s"], row["ratio"], row["spread"]) == (6, 2, 3, [2, 4])
    assert row["roofline_share"] == 4 * 0.25 / 2.0
    assert row["reason"] is None
    assert sides["baseline"].asked == ["prepare", *["work"] * 4]


@pytest.mark.parametrize(("first", "twice"), [(1.9, True), (2.1, False)])
def test_all_rounds_of_a_side_are_timed_the_same_way(first, twice, raced):
    near = itertools.chain([first], itertools.cycle([2.1, 1.9]))
    plain = {"prepare": 0.0, "work": near}
    row, sides = raced(Work("data"), plain, {"prepare": 0.0, "work": 0.5}, rounds=4)
    assert row["rounds"] == 4
    once = [False, False]  # what prepares and what warms up
    assert sides["baseline"].twice == [*once, *[twice] * 4]
    assert sides["ours"].twice == [*once, *[True] * 4]


@pytest.mark.parametrize("twice", [False, True])
def test_the_second_of_two_calls_counts(twice, monkeypatch):
    clock, calls = itertools.accumulate([0.0, 5.0, 0.0, 3.0]), []
    monkeypatch.setattr("time.perf_counter", lambda: next(clock))
    seconds = runner._timed(lambda: calls.append(1), Device(), twice)
    assert (seconds, len(calls)) == ((3.0, 2) if twice else (5.0, 1))


def test_samplers_are_timed_by_the_step_and_told_whole(raced):
    work = Work("sampling:combined", steps=10)
    assert (work.lengths, work.passes) == ((3, 10), 13)
    house = {"prepare": 0.0, "work": 2.0, "matrix": 0.1}
    row, _ = raced(work, {"prepare": 0.0, "work": 4.0}, house, rounds=2)
    assert row["ours_images_per_s"] == pytest.approx(64 / (2.0 * 5))
    assert row["ratio"] == 2.0


def test_precisions_are_raced_against_one_baseline(monkeypatch):
    work = Work("attack:foolbox")
    answers = {"prepare": 0.0, "matrix": 0.25, "shares": {"convolutions": 0.9, "the rest": 0.1}}
    sides = [Side(answers | {"work": seconds}) for seconds in (8.0, 5.0, 2.0)]
    waiting = iter(sides)
    monkeypatch.setattr(race, "Runner", lambda *rest: next(waiting))
    works = [work, replace(work, bf16=True)]
    fp32, bf16 = race.bench(works, Device(), rounds=3, budget=1000.0)["rows"]
    assert [fp32["precision"], bf16["precision"]] == ["fp32", "bf16"]
    assert [fp32["ratio"], bf16["ratio"]] == [1.6, 4.0]
    assert [side.asked.count("work") for side in sides] == [4, 4, 4]
    assert fp32["reason"] is fp32["profile"] is None
    assert bf16["profile"] == answers["shares"]
    for part in ("ratio 4.00, not 5", "90% convolutions", "alone would give 8.0x"):
        assert part in bf16["reason"]


def test_shares_of_a_call_are_told_by_kind():
    work = QUICK["iteration:jempp"]
    found = shares(ours(work, Device()))
    assert sum(found.values()) == pytest.approx(1.0)
    assert {"convolutions", "the rest"} <= set(found)
    assert list(found.values()) == sorted(found.values(), reverse=True)


@pytest.mark.parametrize(
    ("trouble", "reason"),
    [(TooLong(), "longer than the budget of 7 s"), (Mistake("not installed"), "not installed")],
)
def test_what_cannot_be_measured_says_why(trouble, reason, raced):
    row, _ = raced(Work("data"), {"prepare": 0.0, "work": trouble}, {"prepare": 0.0}, budget=7.0)
    assert reason in row["reason"]
    assert row["ratio"] is row["ours_s"] is row["baseline_s"] is None


@pytest.mark.slow
def test_the_command_writes_its_file(tmp_path):
    out = tmp_path / "bench.json"
    assert main(["bench", "--quick", "--only", "walk", "--rounds", "1", "--out", str(out)]) == 0
    assert '"ratio"' in out.read_text()


@pytest.mark.parametrize(
    "options", [["--only", "nothing"], ["--rounds", "0"], ["--budget", "0"], ["--out", "a.txt"]]
)
def test_a_mistake_is_told_and_nothing_written(options, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["bench", "--out", "a.json", *options]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert not list(tmp_path.iterdir())
