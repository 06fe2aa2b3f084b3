"""The judge is trained once, of another family than what it judges, and named."""

import hashlib

import pytest
import torch

from jemstone.data import DataSet, Images, load
from jemstone.errors import Mistake
from jemstone.experiments import balanced_labels, judge_for, judge_from
from jemstone.files import read_tensors, write_tensors
from jemstone.metrics import look
from jemstone.nn import ConvNet, PlainNet
from jemstone.random import Generator
from jemstone.training import Quiet


@pytest.fixture(scope="module")
def digits():
    """Load the digits."""
    return load("digits")


def test_a_judge_is_trained_once_and_cached(digits, tmp_path, monkeypatch):
    monkeypatch.setattr("jemstone.experiments.judge._STEPS", 40)
    heard = []

    class Ear(Quiet):
        def on_metrics(self, step, metrics):
            heard.append(step)

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


def test_the_digits_judge_is_the_one_of_the_published_figures(digits, tmp_path, monkeypatch):
    """Its settings name its folder; other ones would leave docs/results behind."""

    class Trained(Exception):
        pass

    def train(*arguments, **options):
        raise Trained(*arguments)

    monkeypatch.setattr("jemstone.experiments.schooling.train", train)
    with pytest.raises(Trained) as told:
        judge_for(digits, tmp_path)
    state, objective, _, optimisation, _, generator = told.value.args
    assert (optimisation.steps, optimisation.batch_size, optimisation.warmup) == (1200, 64, 50)
    assert (optimisation.learning_rate, optimisation.weight_decay) == (0.05, 5e-4)
    assert (objective.noise, objective.smoothing) == (0.02, 0.0)
    assert generator == Generator(20220718)
    torch.manual_seed(20220718)
    for name, value in ConvNet(1, 10, 32).state_dict().items():
        assert torch.equal(state.model.classifier.state_dict()[name], value)


@pytest.fixture(scope="module")
def toy():
    """Make images of 16x16 pixels, light ones and dark ones."""
    labels = torch.arange(48) % 2
    x = 0.5 * Generator(0).uniform((48, 3, 16, 16)) + 0.5 * labels.reshape(-1, 1, 1, 1)
    images = Images((255 * x).to(torch.uint8), labels)
    return DataSet("toy", images, images.first(20), ("dark", "light"), flip=False)


@pytest.fixture(scope="module")
def toys(toy, tmp_path_factory):
    """Train the toys' judge, and note what it said."""
    folder, told = tmp_path_factory.mktemp("judge"), []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("jemstone.experiments.judge._STEPS", 20)
        judge = judge_for(toy, folder, progress=told.append)
        assert judge_for(toy, folder, progress=told.append).name == judge.name
    (path,) = folder.rglob("model.safetensors")
    return judge, path, told


def test_larger_images_have_a_larger_judge(toys):
    judge, path, _ = toys
    assert isinstance(judge.model.classifier, PlainNet)
    assert judge.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert judge.name == f"plainnet-64-256-256:toy:{judge.sha256[:8]}"
    assert judge.accuracy > 0.5


def test_its_cost_is_said_before_it_is_trained_and_only_then(toys):
    judge, _, told = toys
    assert "20 steps of 128 images, about" in told[0]
    assert judge.name in told[-1]
    assert sum("no judge of toy" in line for line in told) == 1


def test_what_is_kept_is_half_as_large(toys):
    judge, path, _ = toys
    kept = read_tensors(path)
    assert {value.dtype for value in kept.values() if value.dim() > 1} == {torch.float16}
    weights = judge.model.state_dict()
    assert all(torch.equal(weights[name], value.to(weights[name])) for name, value in kept.items())


def test_a_file_is_the_judge_that_wrote_it(toys, toy):
    judge, path, _ = toys
    again = judge_from(path, toy)
    assert (again.name, again.sha256, again.accuracy) == (judge.name, judge.sha256, judge.accuracy)
    seen, seen_again = look(toy.test, judge), look(toy.test, again)
    assert torch.equal(seen.features, seen_again.features)
    assert torch.equal(seen.logits, seen_again.logits)


def test_a_file_of_the_small_images_judge_judges_too(digits, tmp_path, monkeypatch):
    monkeypatch.setattr("jemstone.experiments.judge._STEPS", 2)
    judge = judge_for(digits, tmp_path)
    (path,) = tmp_path.rglob("model.safetensors")
    assert judge_from(path, digits).name == judge.name


def test_a_file_that_cannot_judge_is_refused(toys, toy, digits, tmp_path):
    _, path, _ = toys
    with pytest.raises(Mistake, match="judges 2 classes of images of 3 channels, digits has 10"):
        judge_from(path, digits)
    with pytest.raises(Mistake, match="is missing"):
        judge_from(tmp_path / "none.safetensors", toy)
    weights = read_tensors(path)
    for name, wrong in {
        "lacks a tensor": {k: v for k, v in weights.items() if "linear" not in k},
        "has another shape": weights | {"classifier.trunk.1.weight": torch.zeros(4)},
        "claims a vast network": weights | {"classifier.trunk.8.weight": torch.zeros(4096, 1)},
        "has no floats": weights | {"classifier.linear.weight": torch.zeros(2, 256).long()},
        "is not a judge's": {"x": torch.zeros(3)},
        "is empty": {},
    }.items():
        file = tmp_path / f"{name}.safetensors"
        write_tensors(file, wrong)
        with pytest.raises(Mistake, match="holds no judge's weights"):
            judge_from(file, toy)


def test_labels_are_balanced():
    assert balanced_labels(7, 3).tolist() == [0, 1, 2, 0, 1, 2, 0]
