"""The judge is trained once, of another family than what it judges, and named."""

import pytest
import torch

from jemstone.data import load
from jemstone.experiments import balanced_labels, judge_for
from jemstone.metrics import look
from jemstone.nn import ConvNet


@pytest.fixture(scope="module")
def digits():
    """Load the digits."""
    return load("digits")


def test_a_judge_is_trained_once_and_cached(digits, tmp_path, monkeypatch):
    monkeypatch.setattr("jemstone.experiments.judge._STEPS", 40)
    heard = []

    class Ear:
        def on_metrics(self, step, metrics):
            heard.append(step)

        def on_event(self, event):
            pass

        def on_checkpoint(self, state, model):
            pass

        def wants_stop(self):
            return False

    first = judge_for(digits, tmp_path, Ear())
    trained = len(heard)
    second = judge_for(digits, tmp_path, Ear())
    assert trained > 0
    assert len(heard) == trained
    assert first.name == second.name
    assert "digits" in first.name
    assert first.accuracy == second.accuracy
    assert isinstance(first.model.classifier, ConvNet)
    seen, again = (look(digits.test.first(50), judge) for judge in (first, second))
    assert torch.equal(seen.features, again.features)


def test_a_judge_cut_short_is_trained_again(digits, tmp_path, monkeypatch):
    monkeypatch.setattr("jemstone.experiments.judge._STEPS", 2)
    judge_for(digits, tmp_path)
    (weights,) = tmp_path.rglob("model.safetensors")
    weights.write_bytes(weights.read_bytes()[:100])
    assert judge_for(digits, tmp_path).accuracy > 0
    assert weights.stat().st_size > 100


def test_labels_are_balanced():
    assert balanced_labels(7, 3).tolist() == [0, 1, 2, 0, 1, 2, 0]
