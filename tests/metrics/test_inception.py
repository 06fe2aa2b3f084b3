"""Inception's weights are checked before anything reads them; its eye is torch-fidelity's."""

import hashlib
import io
import urllib.error

import pytest
import torch
from torch import nn
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

from jemstone.data import Images
from jemstone.errors import Mistake
from jemstone.metrics import Inception, compare, look
from jemstone.metrics import inception as room


@pytest.fixture
def published(tmp_path, monkeypatch):
    """Write tiny weights, and make them those that are published."""
    path = tmp_path / "weights.pth"
    torch.save({"weight": torch.tensor([2.0])}, path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    monkeypatch.setattr(room, "_DIGEST", digest[:8])
    monkeypatch.setattr(room, "_network", Tiny)
    return path


class Tiny(nn.Module):
    """The brightness is the feature, and tells light from dark."""

    def __init__(self, weights):
        super().__init__()
        self.load_state_dict(weights)

    def _load_from_state_dict(self, state, prefix, *rest):
        self.weight = nn.Parameter(state["weight"])

    def forward(self, x):
        assert x.dtype == torch.uint8
        assert x.shape[1] == 3
        bright = self.weight * x.float().flatten(1)[:, ::16] / 255
        return bright, torch.cat([bright, -bright], dim=1)


def images(n, channels=1):
    labels = torch.arange(n) % 2
    pixels = torch.randint(0, 255, (n, channels, 8, 8), dtype=torch.uint8)
    return Images(pixels, labels)


def test_weights_by_path(published):
    eye = Inception.load(published)
    assert eye.sha256 == hashlib.sha256(published.read_bytes()).hexdigest()
    assert not eye.training
    features, _ = eye(torch.ones(1, 1, 8, 8))
    assert features.flatten()[0] == 2


def test_weights_in_the_hubs_cache_are_used_and_not_asked_for(published, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    monkeypatch.setattr(torch.hub, "download_url_to_file", unreachable)
    home = tmp_path / "hub" / "checkpoints" / room._FILE
    home.parent.mkdir(parents=True)
    home.write_bytes(published.read_bytes())
    assert Inception.load().sha256 == Inception.load(published).sha256


def test_weights_are_downloaded_once(published, tmp_path, monkeypatch):
    asked = []

    def download(url, path, hash_prefix, progress):
        asked.append((url.rpartition("/")[2], hash_prefix))
        published.rename(path)

    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    monkeypatch.setattr(torch.hub, "download_url_to_file", download)
    assert Inception.load().sha256 == Inception.load().sha256
    assert asked == [(room._FILE, room._DIGEST)]


def unreachable(*args, **options):
    raise urllib.error.URLError("no route to host")


def test_offline_says_which_file_to_put_where(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    monkeypatch.setattr(torch.hub, "download_url_to_file", unreachable)
    with pytest.raises(Mistake) as told:
        Inception.load()
    line = str(told.value)
    assert "\n" not in line
    for word in (room._FILE, str(tmp_path / "hub" / "checkpoints"), "--inception-weights"):
        assert word in line


def test_another_file_is_refused_before_it_is_read(published, monkeypatch):
    def never(*args, **options):
        raise AssertionError("read")

    monkeypatch.setattr(torch, "load", never)
    published.write_bytes(published.read_bytes() + b"!")
    with pytest.raises(Mistake, match="not torch-fidelity's weights-inception"):
        Inception.load(published)
    with pytest.raises(Mistake, match="is not there: --inception-weights"):
        Inception.load(published.with_name("none.pth"))


def test_a_pickle_of_more_than_tensors_is_refused(tmp_path, monkeypatch):
    class Hostile:
        def __reduce__(self):
            return print, ("run",)

    path = tmp_path / "weights.pth"
    torch.save({"weight": Hostile()}, path)
    monkeypatch.setattr(room, "_DIGEST", hashlib.sha256(path.read_bytes()).hexdigest()[:8])
    with pytest.raises(Mistake, match="holds other weights"):
        Inception.load(path)


@pytest.mark.parametrize("weights", [{}, {"fc.weight": torch.zeros(3)}])
def test_weights_of_another_network_are_refused(weights, tmp_path, monkeypatch):
    path = tmp_path / "weights.pth"
    torch.save(weights, path)
    monkeypatch.setattr(room, "_DIGEST", hashlib.sha256(path.read_bytes()).hexdigest()[:8])
    with pytest.raises(Mistake, match="holds other weights"):
        Inception.load(path)


def test_grey_is_grey_in_three_channels(published):
    eye = Inception.load(published)
    grey = torch.rand(2, 1, 8, 8)
    assert torch.equal(eye(grey)[0], eye(grey.expand(-1, 3, -1, -1))[0])
    with pytest.raises(Mistake, match="not of 4"):
        eye(torch.rand(2, 4, 8, 8))


def test_its_classes_are_not_the_samples(published):
    eye = Inception.load(published)
    seen = look(images(40), eye)
    figures = compare(seen, seen, seen)
    assert figures["agreement"] is None
    assert figures["features"] == "inception (torch-fidelity)"
    assert figures["fid"] == pytest.approx(0, abs=1e-3)


def test_the_network_is_torch_fidelitys():
    class Drawn(FeatureExtractorInceptionV3):
        def load_state_dict(self, *args, **options):
            """Keep the weights that were drawn."""

    with torch.device("meta"):
        shapes = Drawn("drawn", ["2048"], feature_extractor_weights_path=empty()).state_dict()
    weights = {name: torch.zeros(like.shape, dtype=like.dtype) for name, like in shapes.items()}
    for name, value in weights.items():
        if name.endswith("running_var"):
            value.fill_(1.0)
    weights["fc.weight"].fill_(1.0)
    weights["fc.bias"].fill_(100.0)  # the unbiased logits do not have it
    weights["Mixed_7c.branch1x1.bn.bias"].fill_(0.5)
    features, logits = Inception(room._network(weights), "")(torch.rand(1, 3, 8, 8))
    assert features.shape == (1, 2048)
    assert logits.shape == (1, 1008)
    assert set(features.unique().tolist()) == {0.0, 0.5}
    torch.testing.assert_close(logits, features.sum().expand(1, 1008))


def empty():
    file = io.BytesIO()
    torch.save({}, file)
    file.seek(0)
    return file
