"""A suite is its parts, kept as they are done; anybody's classifier may be judged."""

import importlib.util
import json
import re
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from jemstone.data import DataSet, load
from jemstone.errors import Mistake
from jemstone.experiments import (
    PARTS,
    SUITES,
    Settings,
    Store,
    case_of,
    judge_case,
    load_classifier,
)
from jemstone.experiments.store import Shelf, refuse_strangers
from jemstone.metrics import SCORES
from jemstone.model import JointEnergyModel
from jemstone.nn import ConvNet
from jemstone.report import doubts, page
from jemstone.training import Device

SMALL = Settings("full", attacked=6, unknown=("constant",), strangers=12)


@pytest.fixture(scope="module")
def data():
    digits = load("digits")
    return DataSet("digits", digits.train.first(60), digits.test.first(40), digits.classes, False)


@pytest.fixture
def case(data):
    about = {"run": None, "model": "own:net", "weights": "w.safetensors", "data": "digits"}
    return case_of(JointEnergyModel(ConvNet(1, 10, 2)).eval(), data, SMALL, about=about)


@pytest.fixture
def few_steps(monkeypatch):
    monkeypatch.setattr("jemstone.experiments.suites._DETECTION_STEPS", 1)
    fewest = {"steps": 4, "restarts": 1, "autoattack_steps": 2, "queries": 5}
    monkeypatch.setattr("jemstone.experiments.suites._ATTACK", fewest)


def test_a_classifier_without_a_run_is_judged_in_full(case, few_steps):
    found = judge_case(case).figures
    assert found["n"] == 40
    assert {row["n"] for row in found["robust_accuracy"]} == {6}
    assert {(row["data"], row["score"]) for row in found["ood"]} == {
        ("constant", score) for score in SCORES
    }
    assert found["generation"] == found["walks"] == found["purification"] == []
    assert found["seconds"].keys() == set(SUITES["full"])
    json.dumps(found, allow_nan=False)


def test_without_the_extra_only_pgd_attacks(case, few_steps, monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setitem(sys.modules, "pyautoattack", None)
    monkeypatch.setattr(
        "jemstone.experiments.threats.find_spec",
        lambda name: None if name == "pyautoattack" else found(name),
    )
    figures = PARTS["attacks"](case, {})
    assert figures["attacks_left_out"] == ["square", "autoattack"]
    assert {row["attack"] for row in figures["robust_accuracy"]} == {
        "PGD-4 x1 (cross-entropy)",
        "PGD-4 x1 (margin)",
        "worst case",
    }


def test_what_is_done_is_not_done_again(case, few_steps, tmp_path, monkeypatch):
    whole = judge_case(case).figures
    done = []

    def noted(name, part):
        def run(*given):
            done.append(name)
            if name == "detection" and done.count(name) == 1:
                raise KeyboardInterrupt
            return part(*given)

        return run

    for name, part in list(PARTS.items()):
        monkeypatch.setitem(PARTS, name, noted(name, part))
    store = Store(tmp_path / "parts", case.key)
    with pytest.raises(KeyboardInterrupt):
        judge_case(case, store)
    assert store.read().keys() == {"classification", "attacks", "purification"}
    found = judge_case(case, store).figures
    first = ["classification", "attacks", "purification", "detection"]
    assert done == [*first, "detection", "generation", "walks"]
    for result in (whole, found):
        del result["seconds"]
    assert found == whole
    store.remove()
    assert not (tmp_path / "parts").exists()


def test_parts_of_another_case_are_not_taken(case, data, eye, tmp_path):
    Store(tmp_path, case.key).write("classification", {"accuracy": 1.0})
    same = case_of(case.model, data, SMALL)
    others = [
        case_of(JointEnergyModel(ConvNet(1, 10, 2)), data, SMALL),
        case_of(case.model, data, Settings("full", seed=1, unknown=("constant",))),
        case_of(
            case.model,
            DataSet("digits", data.train, data.test.first(39), data.classes, False),
            SMALL,
        ),
        replace(case, baseline=JointEnergyModel(ConvNet(1, 10, 2)).eval()),
        replace(case, judge=eye),
        replace(case, device=Device(bf16=True)),
    ]
    assert same.key == case.key
    assert Store(tmp_path, same.key).read() == {"classification": {"accuracy": 1.0}}
    for other in others:
        assert Store(tmp_path, other.key).read() == {}


def test_unknown_images_are_known_by_their_pixels(case, data, tmp_path):
    keys = []
    for grey in (0, 0, 1):
        images = np.full((3, 8, 8), grey, dtype=np.uint8)
        np.savez(tmp_path / "strange.npz", test_images=images)
        asked = replace(SMALL, unknown=(str(tmp_path / "strange.npz"),))
        keys.append(case_of(case.model, data, asked).key)
    assert keys[0] == keys[1] != keys[2]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"key": "k"}', '{"key": "k", "part": 3}'])
def test_a_broken_part_is_left_out(text, tmp_path):
    (tmp_path / "detection.json").write_text(text)
    assert Store(tmp_path, "k").read() == {}


def test_a_shelf_remembers(tmp_path):
    shelf = Shelf(tmp_path / "shelf", "k")
    shelf["a/b"], shelf["c"] = [1, None], {"d": 2.5}
    del shelf["c"]
    assert dict(Shelf(tmp_path / "shelf", "k")) == {"a/b": [1, None]}
    assert dict(Shelf(tmp_path / "shelf", "other")) == {}


def test_a_store_removes_what_stores_have_written_and_nothing_else(tmp_path):
    folder = tmp_path / "a.parts"
    Store(folder, "of before").write("detection", {"ood": []})
    store = Store(folder, "k")
    store.write("classification", {"accuracy": 1.0})
    store.shelf("attacks")["PGD"] = [1]
    (folder / ".123.attacks.json").write_text('{"key')
    refuse_strangers(folder)
    store.remove()
    assert not folder.exists()
    store.remove()  # there is nothing left to do


@pytest.mark.parametrize("text", ["", "[]", '{"part": 3}', '{"key": "k"}'])
@pytest.mark.parametrize("name", ["thesis.json", "thesis.tex", ".hidden", "attacks/thesis.json"])
def test_what_no_store_has_written_is_refused_and_stays(name, text, tmp_path):
    folder = tmp_path / "a.parts"
    refuse_strangers(folder)
    store = Store(folder, "k")
    store.write("classification", {"accuracy": 1.0})
    store.shelf("attacks")["PGD"] = [1]
    theirs = folder / name
    theirs.write_text(text)
    with pytest.raises(Mistake, match=theirs.name):
        refuse_strangers(folder)
    store.remove()
    assert [path for path in folder.rglob("*") if path.is_file()] == [theirs]


def test_a_model_of_other_images_or_classes_is_refused(data):
    for network, words in {
        ConvNet(3, 10, 2): "cannot read digits's images",
        ConvNet(1, 7, 2): "own classes",
        nn.Flatten(): "own classes",
    }.items():
        with pytest.raises(Mistake, match=words):
            case_of(JointEnergyModel(network), data, SMALL)


class Answering(nn.Module):
    """A network that answers as it is told to, or raises that."""

    def __init__(self, answer):
        super().__init__()
        self.answer = answer

    def forward(self, x):
        if isinstance(self.answer, BaseException):
            raise self.answer
        return self.answer


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (AssertionError("Input height (8)\ndoes not match (224)"), r"Input height \(8\) does not"),
        (AssertionError(), "AssertionError"),
        (SystemExit(2), "cannot read"),
        (KeyError("patch"), "patch"),
        ((torch.zeros(2, 10), torch.zeros(2, 3)), "tuple"),
    ],
)
def test_whatever_a_network_does_is_told_in_one_line(answer, words, data):
    with pytest.raises(Mistake, match=words) as told:
        case_of(JointEnergyModel(Answering(answer)), data, SMALL)
    assert "\n" not in str(told.value)


@pytest.fixture
def theirs(tmp_path, monkeypatch):
    """Somebody's module, and the weights of its network."""
    monkeypatch.chdir(tmp_path)
    code = "from torch import nn\n\n\ndef net():\n    return nn.Sequential(nn.Flatten(), "
    code += "nn.Linear(64, 10))\n\n\ndef broken():\n    raise OSError('no\\nnet')\n\nlist_ = list\n"
    code += "\n\ndef leaves():\n    raise SystemExit(2)\n"
    (tmp_path / "program.py").write_text("import sys\n\nsys.exit(2)\n")
    (tmp_path / "outdated.py").write_text("import os\n\nos.no_such_name\n\nnet = None\n")
    (tmp_path / "somebody.py").write_text(code)
    network = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    save_file(network.state_dict(), tmp_path / "w.safetensors")
    return network


def test_somebodys_classifier_is_read_as_it_is(theirs, tmp_path, data):
    model = load_classifier("somebody:net", tmp_path / "w.safetensors", [0.5], [0.25])
    x = data.test.x
    torch.testing.assert_close(model.logits(x), theirs((x - 0.5) / 0.25))
    assert not model.training


@pytest.mark.parametrize(
    ("factory", "weights", "words"),
    [
        ("somebody", "w.safetensors", "pkg.module:function"),
        ("nobody:net", "w.safetensors", "nobody cannot be imported"),
        ("somebody:nut", "w.safetensors", "no function nut"),
        ("somebody:broken", "w.safetensors", "failed: no net"),
        ("somebody:leaves", "w.safetensors", "failed: it ends the program"),
        ("program:net", "w.safetensors", "program cannot be imported, since"),
        ("outdated:net", "w.safetensors", "cannot be imported: module 'os'"),
        ("somebody:list_", "w.safetensors", "not a torch.nn.Module"),
        ("somebody:net", "w.pt", "safetensors"),
        ("somebody:net", "absent.safetensors", "missing"),
        ("somebody:net", "other.safetensors", "does not fit"),
    ],
)
def test_what_is_no_classifier_is_told(theirs, tmp_path, factory, weights, words):
    save_file({"1.weight": torch.zeros(2, 2)}, tmp_path / "other.safetensors")
    with pytest.raises(Mistake, match=words) as told:
        load_classifier(factory, tmp_path / weights)
    assert "\n" not in str(told.value)


def test_the_page_stands_alone_and_escapes(case, few_steps):
    found = judge_case(case).figures | {"model": "<script>alert(1)</script>"}
    found["robust_accuracy"][0]["laws"]["below_clean"]["passed"] = False
    text = page(found, {"combined": "AAAA"})
    assert "<script>alert" not in text
    assert re.findall("<script[^>]*>", text) == ["<script>"]  # inline, and our own
    assert "beforeprint" in text
    assert "http" not in text.replace("http-equiv", "")
    assert text.count('src="data:image/svg+xml;base64,') == 4
    assert 'src="data:image/png;base64,AAAA"' in text
    assert "breaks below clean" in text
    listed = text.split('<ul class="doubts">')[1].split("</ul>")[0]
    assert len(doubts(found)) == listed.count("<li>") == 1
