import json

import pytest
import torch
from torch import nn

from jemstone import JointEnergyModel
from jemstone.errors import Mistake
from jemstone.nn import ConvNet, WideResNet

CLASSIFIERS = {
    "mlp": lambda: nn.Sequential(nn.Flatten(), nn.Linear(192, 7), nn.ReLU(), nn.Linear(7, 5)),
    "conv": lambda: nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.ELU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 5)
    ),
    "convnet": lambda: ConvNet(3, 5, width=4),
    "wide-resnet": lambda: WideResNet(3, 5, 10, 1, "batch"),
    "group": lambda: WideResNet(3, 5, 10, 1, "group"),
}
REGISTERED = ["convnet", "wide-resnet", "group"]
NORMALISATIONS = [
    (None, None),
    (0.5, 0.25),
    ([0.4, 0.5, 0.6], [0.2, 0.3, 0.4]),
    (None, [0.2, 0.3, 0.4]),
    (1, None),
]
every_classifier = pytest.mark.parametrize("name", CLASSIFIERS)
normalisations = pytest.mark.parametrize(("mean", "std"), NORMALISATIONS)


@pytest.fixture
def x():
    return torch.rand(4, 3, 8, 8)


@pytest.fixture
def y():
    return torch.tensor([0, 4, 2, 2])


@every_classifier
@normalisations
def test_a_classifier_is_an_energy_with_its_normalisation_inside(name, mean, std, x, y):
    classifier = CLASSIFIERS[name]().eval()
    model = JointEnergyModel(classifier, mean, std)
    channels = [torch.as_tensor(v).float().reshape(-1, 1, 1) for v in (mean or 0.0, std or 1.0)]
    logits = classifier((x - channels[0]) / channels[1])
    torch.testing.assert_close(model.logits(x), logits)
    torch.testing.assert_close(model(x), logits)
    torch.testing.assert_close(model.energy(x), -logits.logsumexp(dim=1))
    torch.testing.assert_close(model.energy(x, y), -logits[range(4), y])
    torch.testing.assert_close(model.predict(x), logits.softmax(dim=1))


@pytest.mark.parametrize("std", [0.0, -1.0, [0.5, 0.0], float("nan")])
def test_a_division_by_nothing_is_refused(std):
    with pytest.raises(Mistake, match="std is above zero"):
        JointEnergyModel(torch.nn.Flatten(), 0.5, std)


@every_classifier
@normalisations
def test_the_rest_reads_the_stem_as_the_model_reads_the_image(name, mean, std, x, y):
    model = JointEnergyModel(CLASSIFIERS[name](), mean, std).eval()
    stem, rest = model.split()
    assert torch.equal(rest.energy(stem(x)), model.energy(x))
    assert torch.equal(rest.energy(stem(x), y), model.energy(x, y))


def test_a_classifier_without_split_has_its_normalisation_as_stem(x):
    model = JointEnergyModel(CLASSIFIERS["mlp"](), 0.5, 0.25)
    stem, rest = model.split()
    torch.testing.assert_close(stem(x), (x - 0.5) / 0.25)
    assert rest.classifier is model.classifier


def test_splitting_changes_nothing(normed, traces):
    for number, module in enumerate(normed.modules()):
        module.training = number % 2 == 0
    before = traces(normed)
    normed.split()
    assert traces(normed) == before


@pytest.mark.parametrize("name", REGISTERED)
@normalisations
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("inside", ["", "checkpoint"])
def test_a_saved_model_comes_back(name, mean, std, memory_format, inside, x, tmp_path):
    model = JointEnergyModel(CLASSIFIERS[name](), mean, std).to(memory_format=memory_format)
    model(x)  # running statistics worth keeping
    model.save_pretrained(tmp_path / inside)
    back = JointEnergyModel.from_pretrained(str(tmp_path))
    assert not any(m.training for m in back.modules())
    assert back.config == model.config
    for key, value in model.state_dict().items():
        assert torch.equal(back.state_dict()[key], value), key
    torch.testing.assert_close(back.logits(x), model.eval().logits(x))


@pytest.mark.parametrize("name", ["mlp", "conv"])
def test_anybodys_classifier_comes_back_into_a_new_one(name, x, tmp_path):
    model = JointEnergyModel(CLASSIFIERS[name](), 0.5, 0.25).eval()
    model.save_pretrained(tmp_path)
    back = JointEnergyModel.from_pretrained(tmp_path, CLASSIFIERS[name]())
    assert torch.equal(back.logits(x), model.logits(x))


CONFIGS = {
    "unknown architecture": {"architecture": "wide-resnt"},
    "importable code": {"architecture": "os.system", "arguments": {"command": "true"}},
    "no architecture": {"architecture": None},
    "unknown argument": {"arguments": {"channels": 3, "classes": 5, "colour": "red"}},
    "missing argument": {"arguments": {"channels": 3}},
    "no arguments": {"arguments": None},
    "bad depth": {"arguments": {"channels": 3, "classes": 5, "depth": 9}},
    "zero width": {
        "arguments": {"channels": 3, "classes": 5, "depth": 10, "width": 0, "norm": "group"}
    },
    "other shape": {"arguments": {"channels": 3, "classes": 6, "depth": 10, "width": 1}},
    "other channels": {"mean": [0.5] * 3, "std": [0.5] * 3},
    "text for a mean": {"mean": "grey", "std": 1.0},
}


def refusal(folder, classifier=None):
    with pytest.raises(Mistake) as told:
        JointEnergyModel.from_pretrained(folder, classifier)
    assert "\n" not in str(told.value)
    return str(told.value)


@pytest.fixture
def saved(tmp_path):
    JointEnergyModel(CLASSIFIERS["wide-resnet"]()).save_pretrained(tmp_path)
    return tmp_path


@pytest.mark.parametrize("change", CONFIGS.values(), ids=CONFIGS)
def test_a_configuration_that_does_not_fit_is_refused(change, saved):
    config = json.loads((saved / "config.json").read_text())
    (saved / "config.json").write_text(json.dumps(config | change))
    refusal(saved)


@pytest.mark.parametrize("key", ["architecture", "arguments", "mean", "std"])
def test_an_incomplete_configuration_is_refused(key, saved):
    config = json.loads((saved / "config.json").read_text())
    del config[key]
    (saved / "config.json").write_text(json.dumps(config))
    assert key in refusal(saved)


@pytest.mark.parametrize("text", ["[]", "3", "null", "{", ""])
def test_a_configuration_that_is_no_mapping_is_refused(text, saved):
    (saved / "config.json").write_text(text)
    refusal(saved)


@pytest.mark.parametrize("file", ["config.json", "model.safetensors"])
@pytest.mark.parametrize("kept", [None, 0, 20, -1])
def test_missing_and_truncated_files_are_refused(file, kept, saved):
    content = (saved / file).read_bytes()
    (saved / file).unlink()
    if kept is not None:
        # The configuration ends with a newline: cut that and the brace before it.
        (saved / file).write_bytes(content.rstrip()[:kept])
    assert file in refusal(saved)


@pytest.mark.parametrize("file", ["config.json", "nothing here", "."])
def test_what_is_no_models_folder_is_refused(file, saved, tmp_path_factory):
    assert (
        "folder" in refusal(saved / file) if file != "." else refusal(tmp_path_factory.mktemp("e"))
    )


def test_weights_of_another_network_are_refused(saved):
    assert "shape" in refusal(saved, CLASSIFIERS["mlp"]())
