"""The commands of the contract, end to end on real digits."""

import dataclasses
import hashlib
import json
import os
import re
import resource
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from jemstone.cli import main
from jemstone.cli.main import _COMMANDS as COMMANDS
from jemstone.experiments import Run, Settings, case_of_run
from jemstone.model import JointEnergyModel
from jemstone.recipes import changed

ROOT = Path(__file__).parent.parent.parent
SMALL = ["--network.width", "1", "--walk.steps", "2", "--attack.steps", "2", "--chains.size", "40"]


@pytest.fixture(scope="session")
def run(tmp_path_factory):
    """Train a real, small Robust JEM."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    argv = ["train", "robust-jem", "--out", str(folder), "--steps", "60", "--checkpoint-every=20"]
    assert main([*argv, *SMALL, "--optimisation.warmup", "10"]) == 0
    return folder


def test_a_run_leaves_what_the_contract_names(run):
    left = {str(path.relative_to(run)) for path in run.rglob("*") if path.is_file()}
    assert {
        "recipe.yaml",
        "environment.json",
        "metrics.jsonl",
        "init.safetensors",
        "checkpoint/model.safetensors",
        "checkpoint/config.json",
        "checkpoints/000040/model.safetensors",
        "samples/000060.png",
    } <= left
    assert not [name for name in left if name.endswith((".pt", ".pkl", ".pth"))]


def test_metrics_are_valid_json_and_name_the_terms(run):
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [20, 40, 60]
    named = {"loss", "energy_data", "energy_samples", "adversarial_ce", "input_grad_norm"}
    assert named | {"robust_accuracy", "seconds_per_step"} <= lines[-1].keys()


def test_memory_and_time_are_told_before_the_first_step(tmp_path, capfd):
    argv = ["train", "jempp", "--out", str(tmp_path / "run"), "--steps", "3", *SMALL]
    assert main(argv) == 0
    first = capfd.readouterr().err.splitlines()[0]
    assert re.search(r"3 steps, about \d+\.\d GiB, about [\d.]+ m?s$", first), first


def test_a_trained_run_has_learnt(run):
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert lines[-1]["adversarial_ce"] < lines[0]["adversarial_ce"]


@pytest.mark.parametrize("sampler", ["combined", "energy", "attack", "unconditional"])
def test_samples_are_arrays_with_their_origin(run, sampler, tmp_path, capsys):
    out = tmp_path / "samples.npz"
    argv = ["sample", str(run), "--sampler", sampler, "--n", "12", "--seed", "3"]
    assert main([*argv, "--out", str(out)]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == str(out)
    with np.load(out, allow_pickle=False) as archive:
        images, labels = archive["images"], archive["labels"]
        meta = json.loads(str(archive["meta"]))
    assert images.dtype == np.uint8
    assert images.shape == (12, 8, 8, 1)
    assert labels.dtype == np.int64
    assert meta["sampler"] == sampler
    assert meta["seed"] == 3
    if sampler == "unconditional":
        assert meta["labels"] == "predicted"
        saved = torch.from_numpy(images).permute(0, 3, 1, 2) / 255.0
        seen = JointEnergyModel.from_pretrained(run / "checkpoint").logits(saved)
        assert labels.tolist() == seen.argmax(dim=1).tolist()
    else:
        assert labels.tolist() == [i % 10 for i in range(12)]


def test_samples_are_the_same_again_and_as_a_picture(run, tmp_path):
    for name in ("a.npz", "b.npz", "c.png"):
        argv = ["sample", str(run), "--label", "3", "--n", "5", "--out", str(tmp_path / name)]
        assert main(argv) == 0
    with np.load(tmp_path / "a.npz") as a, np.load(tmp_path / "b.npz") as b:
        assert (a["images"] == b["images"]).all()
        assert set(a["labels"].tolist()) == {3}
    with Image.open(tmp_path / "c.png") as picture:
        assert picture.size[0] > picture.size[1]


def test_a_finished_run_resumes_to_itself(run, capsys):
    before = (run / "checkpoint/model.safetensors").read_bytes()
    assert main(["train", "--resume", str(run)]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == str(run)
    assert (run / "checkpoint/model.safetensors").read_bytes() == before


def test_a_run_taken_up_again_ends_as_if_never_stopped(run, tmp_path):
    """Killed after step 40 and before step 60, between a line of metrics and a checkpoint."""
    killed = tmp_path / "killed"
    shutil.copytree(run, killed)
    shutil.rmtree(killed / "checkpoint")
    (killed / "checkpoints/000040").rename(killed / "checkpoint")
    with open(killed / "metrics.jsonl", "a") as file:
        file.write('{"step": 80, "loss"')
    assert main(["train", "--resume", str(killed)]) == 0
    for file in ("model.safetensors", "training.safetensors", "chains-0.safetensors"):
        ended, whole = ((folder / "checkpoint" / file).read_bytes() for folder in (killed, run))
        assert ended == whole, file
    ended, whole = (
        [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
        for folder in (killed, run)
    )
    for line in (*ended, *whole):
        del line["seconds_per_step"]
    assert ended == whole


def test_a_full_disk_ends_with_the_environment_and_no_half_checkpoint(tmp_path):
    def little_room():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))

    folder = tmp_path / "run"
    argv = [sys.executable, "-m", "jemstone", "train", "jempp", "--out", str(folder)]
    done = subprocess.run(
        [*argv, "--steps", "1", *SMALL],
        preexec_fn=little_room,
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 4, done.stderr
    assert "Traceback" not in done.stderr
    assert "could not be written" in done.stderr.splitlines()[-1]
    assert not (folder / "checkpoint").exists()


@pytest.mark.parametrize("seed", [-1, 2**80])
def test_any_integer_is_a_seed(seed, tmp_path):
    argv = ["train", "jem", "--steps", "1", f"--seed={seed}", "--out", str(tmp_path / "run")]
    assert main([*argv, *SMALL]) == 0


def test_a_network_of_another_family_is_an_option(tmp_path):
    argv = ["train", "jempp", "--network.architecture", "convnet", "--network.width", "4"]
    assert main([*argv, "--steps", "2", *SMALL[2:], "--out", str(tmp_path / "run")]) == 0
    config = json.loads((tmp_path / "run/checkpoint/config.json").read_text())
    assert config["architecture"] == "convnet"


def test_true_langevin_is_an_option(tmp_path):
    argv = ["train", "jem", "--walk.temperature", "1e-4", "--walk.noise", "0", "--steps", "2"]
    assert main([*argv, *SMALL, "--out", str(tmp_path / "run")]) == 0


def test_status_tells_how_far_a_run_is(run, capsys):
    assert main(["status", str(run)]) == 0
    told = capsys.readouterr().out
    assert "robust-jem (small), finished" in told
    assert "step 60 of 60" in told


def test_print_config_is_a_config(tmp_path, capsys):
    argv = ["train", "jempp", "--attack.eps", "0.07", "--steps=2", *SMALL]
    assert main([*argv, "--print_config"]) == 0
    printed = capsys.readouterr().out
    (tmp_path / "recipe.yaml").write_text(printed)
    assert main(["train", "--config", str(tmp_path / "recipe.yaml"), "--print-config"]) == 0
    assert capsys.readouterr().out == printed
    assert "eps: 0.07" in printed


@pytest.mark.parametrize(
    ("lines", "argv", "told"),
    [
        ("name: jempp", ["robust-jem"], "is of recipe jempp, not robust-jem"),
        ("name: jempp\nbudget: quick", ["--budget", "small"], "is of budget quick, not small"),
        ("name: jempp\nbudget: quick", ["jempp", "--budget", "quick"], None),
        ("name: jempp\nbudget: quick", [], None),
        ("name: jempp", ["--budget", "quick"], None),
        ("name: mine\nbudget: quick", ["jempp"], None),
    ],
)
def test_a_config_and_the_command_line_do_not_disagree(tmp_path, capsys, lines, argv, told):
    (tmp_path / "own.yaml").write_text(f"{lines}\n")
    done = main(["train", *argv, "--config", str(tmp_path / "own.yaml"), "--print_config"])
    out, err = capsys.readouterr()
    if told is not None:
        assert done != 0
        assert told in err
        return
    assert done == 0
    assert lines.splitlines()[0] in out
    assert "budget: quick" in out


def test_an_option_beats_the_config(tmp_path, capsys):
    (tmp_path / "part.yaml").write_text("attack:\n  eps: 0.07\n  steps: 3\n")
    argv = ["train", "jempp", "--config", str(tmp_path / "part.yaml"), "--attack.steps", "4"]
    assert main([*argv, "--print_config"]) == 0
    printed = capsys.readouterr().out
    assert "eps: 0.07\n  steps: 4\n" in printed


def test_an_archive_of_ones_own_is_a_data_set(tmp_path, capsys):
    rng = np.random.default_rng(0)
    arrays = {}
    for split, count in (("train", 40), ("test", 20)):
        arrays[f"{split}_images"] = rng.integers(0, 256, (count, 9, 11, 3), dtype=np.uint8)
        arrays[f"{split}_labels"] = np.arange(count) % 4
    np.savez(tmp_path / "own.npz", **arrays)
    argv = ["train", "robust-jem", "--data", str(tmp_path / "own.npz"), "--steps", "2"]
    assert main([*argv, *SMALL, "--out", str(tmp_path / "run")]) == 0
    out = str(tmp_path / "samples.npz")
    assert main(["sample", str(tmp_path / "run"), "--n", "4", "--out", out]) == 0
    with np.load(out) as archive:
        assert archive["images"].shape == (4, 9, 11, 3)


@pytest.mark.parametrize("argv", [[], ["--help"], ["help"]])
def test_without_a_command_all_are_told(argv, capsys):
    assert main(argv) == 0
    told = capsys.readouterr().out
    assert all(f" {command} " in told for command in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_an_example(command, capsys):
    with pytest.raises(SystemExit) as left:
        main([command, "--help"])
    assert left.value.code == 0
    assert f"Example: jemstone {command}" in " ".join(capsys.readouterr().out.split())


def test_a_card_shows_paper_converted_and_source(capsys):
    assert main(["recipes", "robust-jem"]) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "attack.eps 0.1 / 2 = 0.05 arXiv 2207.08950" in told
    assert "FID energy 41.17" in told
    assert "FID combined 47.92" in told


def test_all_recipes_are_listed(capsys):
    assert main(["recipes"]) == 0
    told = capsys.readouterr().out
    for name in ("classifier", "robust-classifier", "jem", "jempp", "robust-jem"):
        assert f" {name} " in told


def test_divergence_stops_with_its_step_and_what_to_try(tmp_path, capfd):
    argv = ["train", "jempp", "--out", str(tmp_path / "run"), "--steps", "50", *SMALL]
    wild = ["--optimisation.learning_rate", "1e6", "--optimisation.clip_norm", "null"]
    assert main([*argv, *wild]) == 3
    told = capfd.readouterr().err.splitlines()
    assert "diverged at step" in told[-1]
    assert "learning_rate" in told[-1]
    assert sum("back to step 0" in line for line in told) == 4
    events = [
        json.loads(line) for line in (tmp_path / "run/metrics.jsonl").read_text().splitlines()
    ]
    assert [event["event"] for event in events] == ["rolled back"] * 4 + ["diverged"]
    for command in ("doctor", "status"):
        assert main([command, str(tmp_path / "run")]) == 0
        assert "diverge" in capfd.readouterr().out


def test_the_paper_budget_stops_at_once_as_the_papers(tmp_path, capfd):
    argv = ["train", "jempp", "--out", str(tmp_path / "run"), "--steps", "50", *SMALL]
    wild = ["--optimisation.learning_rate", "1e6", "--optimisation.warmup", "0"]
    tiny = ["--budget", "paper", "--network.depth", "10", "--augmentation.padding", "1"]
    assert main([*argv, *wild, *tiny, "--optimisation.loss_limit", "1e3"]) == 3
    assert "back" not in capfd.readouterr().err


def test_a_run_that_went_back_is_taken_up_again_as_if_never_stopped(tmp_path, capfd):
    """At a rate where it fails at first, and does not at a lower one."""
    fails = ["--optimisation.learning_rate", "50", "--guard.lower", "1e-3"]
    unclipped = ["--optimisation.clip_norm", "null", "--checkpoint_every", "10"]
    argv = ["train", "jempp", "--steps", "30", *SMALL, *fails, *unclipped]
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert main([*argv, "--out", str(whole)]) == 0
    assert "back to step 0" in capfd.readouterr().err
    shutil.copytree(whole, killed)
    shutil.rmtree(killed / "checkpoint")
    (killed / "checkpoints/000020").rename(killed / "checkpoint")
    assert main(["train", "--resume", str(killed)]) == 0
    for file in ("model.safetensors", "training.safetensors", "chains-0.safetensors"):
        ended, kept = ((folder / "checkpoint" / file).read_bytes() for folder in (killed, whole))
        assert ended == kept, file
    lines = [
        [
            json.loads(line) | {"seconds_per_step": 0}
            for line in (folder / "metrics.jsonl").read_text().splitlines()
        ]
        for folder in (killed, whole)
    ]
    assert lines[0] == lines[1]
    assert main(["doctor", str(whole)]) == 0
    assert "mended by going back" in capfd.readouterr().out


@pytest.mark.parametrize(("asked", "ramp"), [([], 20), (["--ramp", "7"], 7)])
def test_an_attack_grows_within_the_steps_that_are_asked_for(asked, ramp, capsys):
    argv = ["train", "robust-jem", "--data", "cifar10", "--steps", "40", *asked]
    assert main([*argv, "--print_config"]) == 0
    assert f"\nramp: {ramp}\n" in capsys.readouterr().out


def test_a_judge_of_larger_images_is_a_mistake(run, tmp_path, capsys):
    judge = ROOT / "docs/results/weights/mnist-judge.safetensors"
    if not judge.is_file():
        pytest.skip("docs/results/weights/mnist-judge.safetensors is absent")
    argv = ["evaluate", str(run), "--judge", str(judge), "--out", str(tmp_path / "a.json")]
    assert main(argv) == 2
    assert "judges larger images than 8 x 8, those of digits" in capsys.readouterr().err


def test_chains_too_few_for_figures_are_left_out_and_told(tmp_path, capfd):
    argv = ["train", "jempp", "--out", str(tmp_path / "run"), "--steps", "3", *SMALL]
    assert main([*argv, "--chains.size", "10"]) == 0
    out = tmp_path / "run.json"
    assert main(["evaluate", str(tmp_path / "run"), "--n", "100", "--out", str(out)]) == 0
    assert "10 chains are too few for figures: left out" in capfd.readouterr().err
    rows = json.loads(out.read_text())["generation"]
    assert [row["sampler"] for row in rows] == ["init", "combined", "energy", "attack"]


def test_what_is_known_of_a_run_is_of_its_recipe_too(run, tmp_path):
    data = Run.open(run).data()
    before = case_of_run(Run.open(run), data, Settings("full")).key
    shutil.copytree(run, tmp_path / "run")
    copied = dataclasses.replace(Run.open(tmp_path / "run"), path=run)
    assert case_of_run(copied, data, Settings("full")).key == before
    longer = changed(copied.recipe, {"sampling.energy.steps": 99})
    other = dataclasses.replace(copied, recipe=longer)
    assert case_of_run(other, data, Settings("full")).key != before


def test_a_doctor_reads_a_run(run, capsys):
    assert main(["doctor", str(run)]) == 0
    told = capsys.readouterr().out
    assert "step 60" in told
    assert "too short to judge: most sicknesses show from step 200 on; this run has 60" in told
    assert "nothing found" not in told


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_saves_and_the_run_goes_on(number, tmp_path, interrupted):
    folder = tmp_path / "run"
    steps = ["--steps", "2000", "--checkpoint_every", "1000"]
    argv = ["train", "jempp", "--out", str(folder), *steps, *SMALL]
    code, told = interrupted(argv, folder / "metrics.jsonl", number, patience=60, timeout=60)
    assert code == 128 + number, told
    assert f"jemstone train --resume {folder}" in told
    saved = json.loads((folder / "checkpoint/training.json").read_text())["step"]
    assert 0 < saved < 2000


def test_the_command_starts_without_torch():
    code = (
        "import sys; from jemstone.cli import main; main(['--help']); print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "False"


def test_quickstart_leaves_run_picture_and_figures_and_is_repeatable(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("JEMSTONE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("jemstone.experiments.judge._STEPS", 60)
    out = tmp_path / "quickstart"
    argv = ["quickstart", "--out", str(out), "--steps", "30"]
    assert main(argv) == 0
    first = capsys.readouterr().out
    result = json.loads((out / "evaluate.json").read_text())
    assert {row["sampler"] for row in result["generation"]} == {
        "init",
        "combined",
        "energy",
        "attack",
        "chains",
    }
    reference = result["reference"]
    assert (reference["data"], reference["split"], reference["n"]) == ("digits", "test", 360)
    assert 1 < reference["is"] <= 10
    assert result["judge"]["name"].endswith(result["judge"]["sha256"][:8])
    assert {row["features"] for row in result["generation"]} == {result["judge"]["name"]}
    for row in result["robust_accuracy"]:
        assert row["value"] <= result["accuracy"]
        assert all(verdict["passed"] for verdict in row["laws"].values())
    assert str(out / "figure.png") in first
    before = {path: path.stat().st_mtime_ns for path in Path(out).rglob("*")}
    assert main(argv) == 0
    assert "accuracy" in capsys.readouterr().out
    assert {path: path.stat().st_mtime_ns for path in Path(out).rglob("*")} == before


def test_a_folder_of_pictures_is_trained_on_and_may_move(tmp_path, monkeypatch, capfd):
    monkeypatch.setenv("JEMSTONE_CACHE", str(tmp_path / "cache"))
    draws = np.random.default_rng(0)
    for number in range(12):
        path = tmp_path / "here" / "birds" / "ab"[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = draws.integers(0, 256, (8 + number % 3, 9, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(path)
    folder, out = tmp_path / "here" / "birds", tmp_path / "run"
    argv = ["train", "classifier", "--data", str(folder), "--out", str(out), *SMALL]
    assert main([*argv, "--steps", "1"]) == 2
    assert "--resize" in capfd.readouterr().err
    assert not out.exists()
    assert main([*argv, "--steps", "2", "--resize", "8", "--checkpoint_every", "1"]) == 0
    assert "pictures are read, once" in capfd.readouterr().err
    assert json.loads((out / "environment.json").read_text())["resize"] == 8
    assert Run.open(out).data().shape == (3, 8, 8)
    (tmp_path / "there").mkdir()
    folder.rename(tmp_path / "there" / "birds")
    (out / "recipe.yaml").write_text(
        (out / "recipe.yaml").read_text().replace("steps: 2", "steps: 3")
    )
    assert main(["train", "--resume", str(out)]) == 2
    assert "not there" in capfd.readouterr().err
    assert main(["train", "--resume", str(out), "--data_root", str(tmp_path / "there")]) == 0
    assert Run.open(out).steps_done == 3


def test_a_run_is_judged_in_full_and_its_page_stands_alone(run, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("JEMSTONE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("jemstone.experiments.judge._STEPS", 60)
    fewest = {"steps": 4, "restarts": 1, "autoattack_steps": 2, "queries": 5}
    monkeypatch.setattr("jemstone.experiments.suites._ATTACK", fewest)
    monkeypatch.setattr("jemstone.experiments.suites._DETECTION_STEPS", 2)
    monkeypatch.setattr("jemstone.experiments.suites._PURIFYING", {"steps": 1})
    out = tmp_path / "full.json"
    argv = ["evaluate", str(run), "--suite", "full", "--n", "100", "--attacked", "4"]
    assert main([*argv, "--unknown", "constant", "--out", str(out)]) == 0
    assert capsys.readouterr().out.splitlines()[-2:] == [str(out.with_suffix(".html")), str(out)]
    result = json.loads(out.read_text())
    assert {row["sampler"] for row in result["walks"]} == {"combined", "energy"}
    flags = {row["sampler"]: row["flags"] for row in result["generation"]}
    assert flags["init"]["is_the_init"]["raised"]
    assert not flags["init"]["memorised"]["raised"]
    for row in result["generation"]:
        low, high = row["intervals"]["fid"]
        assert low <= row["fid"] <= high
        assert row["curve"]["fid"][-1] == pytest.approx(row["fid"], rel=1e-3, abs=1e-4)
    for walk in result["walks"]:
        assert walk["rows"][-1]["step"] == 10 * walk["walk"]["steps"]
    assert "http" not in out.with_suffix(".html").read_text()
    assert {path.name for path in tmp_path.iterdir()} == {"cache", "full.json", "full.html"}
    # What it takes to measure again.
    assert result["command"] == shlex.join(
        ["jemstone", *argv, "--unknown", "constant", "--out", str(out)]
    )
    assert (result["samples"], result["held_out"], result["settings"]["attacked"]) == (100, 360, 4)
    assert {"commit", "machine", "trained_at", "seed"} <= result.keys()
    weights = (run / "checkpoint" / "model.safetensors").read_bytes()
    assert result["weights_sha256"] == hashlib.sha256(weights).hexdigest()
    # Both norms are attacked, and the lines of README's table are there.
    assert {row["norm"] for row in result["robust_accuracy"]} == {"linf", "l2"}
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import sceptic

    table = sceptic.sceptic([result])
    for name in ("accuracy", "robust accuracy, l2, AutoAttack", "ECE", "unknown: constant"):
        assert f"\n| {name}" in table


def test_a_quick_judgement_has_a_page_too(run, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("JEMSTONE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("jemstone.experiments.judge._STEPS", 60)
    out, html = tmp_path / "quick.json", tmp_path / "page.html"
    argv = ["evaluate", str(run), "--suite", "quick", "--n", "100", "--attacked", "4"]
    assert main([*argv, "--html", str(html), "--out", str(out)]) == 0
    assert capsys.readouterr().out.splitlines()[-2:] == [str(html), str(out)]
    result, text = json.loads(out.read_text()), html.read_text()
    for row in result["robust_accuracy"]:
        assert row["interval"][0] <= row["value"] <= row["interval"][1]
        assert f"all {len(row['laws'])} hold" in text
    assert all(verdict["law"] in text for verdict in row["laws"].values())
    assert f"({result['judge']['accuracy']:.1%} accurate)" in text


@pytest.fixture
def anybodys(tmp_path, monkeypatch):
    """Arguments that judge somebody else's classifier, by few and short attacks."""
    from safetensors.torch import save_file
    from torch import nn

    fewest = {"steps": 4, "restarts": 1, "autoattack_steps": 2, "queries": 5}
    monkeypatch.setattr("jemstone.experiments.suites._ATTACK", fewest)
    monkeypatch.setattr("jemstone.experiments.suites._DETECTION_STEPS", 2)
    monkeypatch.chdir(tmp_path)
    code = "from torch import nn\n\nnet = lambda: nn.Sequential(nn.Flatten(), nn.Linear(64, 10))\n"
    (tmp_path / "anybody.py").write_text(code)
    network = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    save_file(network.state_dict(), tmp_path / "w.safetensors")
    argv = ["evaluate", "--model", "anybody:net", "--weights", "w.safetensors", "--data", "digits"]
    return [*argv, "--suite", "full", "--attacked", "5", "--out", "own.json"]


def test_an_interrupted_judgement_is_taken_up_by_the_same_command(anybodys, tmp_path, monkeypatch):
    from jemstone.metrics import autoattack

    attacked = []

    def interrupted(*given, **options):
        attacked.append(options["parts"])
        if len(attacked) == 2:
            raise KeyboardInterrupt
        return autoattack(*given, **options)

    with monkeypatch.context() as patched:
        patched.setattr("jemstone.experiments.attack_bench.autoattack", interrupted)
        assert main(anybodys) == 130
    parts = tmp_path / "own.parts"
    assert {path.name for path in parts.iterdir()} == {"classification.json", "attacks"}
    kept = {path: path.stat().st_mtime_ns for path in parts.rglob("*.json")}
    written = []
    monkeypatch.setattr(
        "jemstone.experiments.store.write_json", lambda path, value: written.append(path)
    )
    assert main(anybodys) == 0
    assert len(kept) > 1
    assert not kept.keys() & set(written)
    assert (tmp_path / "own.json").is_file()
    assert not parts.exists()


def test_a_folder_of_other_things_is_not_taken_for_parts(anybodys, tmp_path, capfd):
    theirs = tmp_path / "own.parts" / "thesis.tex"
    theirs.parent.mkdir()
    theirs.touch()
    assert main(anybodys) == 2
    told = capfd.readouterr().err
    assert told.count("\n") == 1, told
    assert str(Path("own.parts") / "thesis.tex") in told
    assert theirs.is_file()


def test_anybodys_classifier_is_judged(anybodys, tmp_path):
    assert main(anybodys) == 0
    result = json.loads((tmp_path / "own.json").read_text())
    assert result["model"] == "anybody:net"
    assert len({row["data"] for row in result["ood"]}) == 4
    assert (tmp_path / "own.html").is_file()
