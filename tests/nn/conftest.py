import pytest
import torch
from torch import nn

from jemstone.model import JointEnergyModel
from jemstone.nn import WideResNet, kernels


@pytest.fixture
def settled():
    """Build a network whose batch norms have numbers of their own, of either sign, and images."""

    def settle(channels=3, size=8, sides=None, count=6, **config):
        config = {"depth": 10, "width": 1} | config
        model = JointEnergyModel(WideResNet(channels, 5, **config), mean=0.5, std=0.5)
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                nn.init.normal_(module.weight)
                nn.init.normal_(module.bias)
                nn.init.normal_(module.running_mean)
                nn.init.uniform_(module.running_var, 0.5, 2.0)
        return model.to(memory_format=torch.channels_last), torch.rand(
            count, channels, *(sides or (size, size))
        )

    return settle


@pytest.fixture(params=["kernels", "torch"])
def either(request, monkeypatch):
    """With the compiled kernels, where there are any, and without."""
    if request.param == "torch":
        monkeypatch.setattr(kernels, "compiled", lambda: None)
