"""The tables of README and docs stand whatever was measured, and what failed says so."""

import importlib
import shlex
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
SCRIPTS = sorted(path.stem for path in BENCHMARKS.glob("*.py"))


@pytest.fixture(autouse=True)
def benchmarks(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))


def rows_of(text):
    """Return the cells of a table, head first, and what stands under it."""
    table, _, foot = text.partition("\n\n")
    head, _, *rows = [
        [cell.strip() for cell in line[1:-1].split("|")] for line in table.splitlines()
    ]
    assert all(len(row) == len(head) for row in rows)
    return head, rows, foot


def timed(precision, work="sampling:energy", **fields):
    known = {"baseline_s": 4.0, "ours_s": 1.0, "ratio": 4.0, "rounds": 2, "roofline_share": None}
    where = {"work": work, "network": "wrn-16-4", "norm": "batch", "batch": 64}
    return {**where, "precision": precision, **known, **fields}


def raced(*rows):
    return {"rows": rows, "threads": 2, "torch": "2", "device": "cpu", "rounds": 3}


def test_a_sampler_has_the_seconds_of_its_whole_batch():
    from speed_tables import bench, headline

    whole = {"baseline_images_per_s": 3.2, "ours_images_per_s": 12.8}
    results = raced(timed("fp32", **whole), timed("bf16", rounds=3, **whole))
    head, [row], foot = rows_of(headline(results))
    assert head[2:] == ["plain, fp32", "ours, bf16", "times as fast", "ours in fp32, times"]
    assert row[2:] == ["20.00 s", "5.00 s", "4.00", "4.00"]
    assert "2 to 3 interleaved rounds" in foot
    assert "bf16 instructions" in foot
    assert rows_of(bench(results))[1][0][3:6] == ["20.00 s", "4.00", "4.00"]


def test_a_row_without_figures_has_dashes():
    from speed_tables import bench, headline

    missing = dict.fromkeys(("baseline_s", "ours_s", "ratio", "rounds"))
    for results in (raced(timed("bf16", **missing)), raced(timed("fp32", **missing))):
        assert set(rows_of(headline(results))[1][0][2:]) == {"-"}
        assert set(rows_of(bench(results))[1][0][3:]) == {"-"}


def test_without_bf16_ours_is_told_in_float32():
    from speed_tables import headline

    head, [row], foot = rows_of(headline(raced(timed("fp32", "iteration:jempp"))))
    assert head[2:] == ["plain, fp32", "ours, fp32", "times as fast"]
    assert row[2:] == ["4.00 s", "1.00 s", "4.00"]
    assert "bf16" not in foot


FIGURES = ("is", "fid", "recall", "nearest", "agreement", "seconds_per_image")


def reproduced(**fields):
    known = {"data": "digits", "budget": "quick", "seeds": [3, 4], "command": "jemstone reproduce"}
    return {**known, "ablations": None, "stability": None, **fields}


def answer(name, rows):
    words = {"field": "steps", "default": 2, "chosen": 2, "why": "it is the default's"}
    return {"id": name, "rows": rows, **words}


def test_studies_that_were_not_asked_for_say_so():
    from study_tables import ablations, stability, walks

    for lay_out in (ablations, stability, walks):
        assert "not measured" in lay_out(reproduced())


@pytest.mark.parametrize(("command", "steps"), [("", 500), ("--steps 7", 7), ("--steps=7", 7)])
def test_ablations_that_train_say_how_much(command, steps):
    from study_tables import ablations

    trained = answer("positives", [{"accuracy": None}])
    asked = [answer("energy-steps", [{"value": 2}]), trained]
    _, rows, foot = rows_of(ablations(reproduced(ablations=asked, command=command)))
    assert [row[0] for row in rows] == ["energy-steps", "positives"]
    assert f"2 seeds; the last 1 train {steps} steps of the first seed alone." in foot
    assert "train" not in ablations(reproduced(ablations=asked[:1])).rpartition("\n")[2]


def test_a_walk_that_explodes_has_dashes():
    from study_tables import walks

    asked = [answer("energy-steps", [{"value": 5, **dict.fromkeys(FIGURES)}])]
    _, [row], _ = rows_of(walks(reproduced(ablations=asked)))
    assert row == ["Robust JEM, energy", "5", *["-"] * 5]


def test_a_radius_that_failed_says_how():
    from study_tables import radius

    good, lost = dict.fromkeys(FIGURES, 0.5), dict.fromkeys(FIGURES)
    judged = {"accuracy": 0.5, "robust_accuracy": 0.25}
    rows = (
        {"radius": 0.1, "steps": 9, **judged, "energy": good, "combined": lost},
        {"radius": 0.2, "steps": 9, "diverged": "diverged at step 3"},
    )
    about = {"data": "digits", "samples": 40, "held_out": 360, "attack": "PGD", "features": "eye"}
    _, found, _ = rows_of(radius({**about, "rows": dict(enumerate(rows))}))
    assert found[0][2:] == ["50.0 %", "25.0 %", "0.500 / 0.500", "50.0 %", "0.500", "exploded"]
    assert found[1] == ["0.2", "9", *["diverged"] * 6]


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_script_finds_what_it_imports(script):
    importlib.import_module(script)


def test_a_command_line_is_told_as_a_shell_takes_it(monkeypatch):
    from state import command

    words = ["benchmarks/trials.py", "--variants", "no ramp", "batch norm"]
    monkeypatch.setattr(sys, "argv", words)
    assert shlex.split(command()) == ["python", *words]


def test_rows_that_do_not_compare_are_not_mixed(tmp_path):
    from state import begun

    from jemstone.files import write_json

    out, head = tmp_path / "rows.json", {"steps": 300, "data": "mnist"}
    assert begun(out, head) == {"rows": {}} | head
    write_json(out, {"rows": {"the budget": {}}} | head)
    assert begun(out, head)["rows"] == {"the budget": {}}
    with pytest.raises(SystemExit, match="steps 300, not 400"):
        begun(out, head | {"steps": 400})


def cell(network, sampler, fid):
    figures = {"is": 2.0, "fid": fid, "agreement": 0.5, "recall": 0.25}
    return {"network": network, "sampler": sampler} | {k: {"mean": v} for k, v in figures.items()}


def test_longer_training_stands_below_the_shorter():
    from study_tables import longer

    short = {"data": "cifar10", "samples": 1000, "held_out": 10_000, "features": "eye"}
    short["rows"] = 3 * [{"cost": {"passes_per_image": 150.0}}]
    networks = ("jempp", "robust-jem")
    short["matrix"] = [
        cell(network, sampler, 4.0) for network in networks for sampler in ("energy", "combined")
    ]
    short["networks"] = [
        {"network": network, "runs": [{"steps": 6000}], "robust_attack": "PGD-20"}
        | {"accuracy": {"mean": 0.5}, "robust_accuracy": {"mean": 0.25}}
        for network in networks
    ]
    row = {"accuracy": 0.6, "PGD-20 x2, linf 0.025": 0.5, "PGD-20 x2, linf 0.05": 0.3}
    for sampler, fid in (("energy", 1.0), ("combined", 2.0)):
        row |= {f"{sampler}: is": 3.0, f"{sampler}: fid": fid}
        row |= {f"{sampler}: agreement": 0.75, f"{sampler}: recall": 0.5}
    figures = {key: {"mean": value} for key, value in row.items()}
    trained = {"steps": [12_000], "figures": figures}
    _, rows, foot = rows_of(longer(short, {"recipes": dict.fromkeys(networks, trained)}))
    assert [row[:4] for row in rows] == [
        ["JEM++", "6,000", "50.0 %", "25.0 %"],
        ["JEM++", "12,000", "60.0 %", "30.0 %"],
        ["Robust JEM", "6,000", "50.0 %", "25.0 %"],
        ["Robust JEM", "12,000", "60.0 %", "30.0 %"],
    ]
    assert "150 passes" in foot
    assert "results/table1-cifar10.json" in foot
    assert "results/cifar10.json" in foot
