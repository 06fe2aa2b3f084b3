import platform

import pytest
import torch

from jemstone.cli.parser import choose_for_judging
from jemstone.data import load
from jemstone.experiments import device_for
from jemstone.training import Device, choose_device, processor

KINDS = {
    ("_is_amx_tile_supported", "_is_avx512_bf16_supported"): ", bf16 by matrix tiles",
    ("_is_amx_tile_supported",): ", bf16 by matrix tiles",
    ("_is_avx512_bf16_supported",): ", bf16 by dot products",
    (): "",
}


@pytest.fixture(params=KINDS.items(), ids=lambda kind: kind[1] or "none")
def kind(request, monkeypatch):
    """A processor with some of the instructions, and what its name ends with."""
    present, ending = request.param
    for probe in ("_is_amx_tile_supported", "_is_avx512_bf16_supported"):
        monkeypatch.setattr(torch.cpu, probe, lambda found=probe in present: found, raising=False)
    return ending


def test_a_processor_is_named_by_what_multiplies_bfloat16(kind):
    assert processor() == platform.machine() + kind


def test_auto_is_bfloat16_where_a_processor_multiplies_it(kind):
    assert choose_device("cpu").bf16 == bool(kind)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_precision_that_is_asked_for_is_taken(kind, precision):
    assert choose_device("cpu", precision).bf16 == (precision == "bf16")


def test_a_torch_that_cannot_tell_has_none(monkeypatch):
    for probe in ("_is_amx_tile_supported", "_is_avx512_bf16_supported"):
        monkeypatch.delattr(torch.cpu, probe, raising=False)
    assert processor() == platform.machine()
    assert not choose_device("cpu").bf16


def test_judging_and_points_are_in_float32_where_nothing_else_is_asked_for(kind):
    assert choose_for_judging("cpu", "auto") == Device("cpu", bf16=False)
    assert choose_for_judging("cpu", "bf16") == Device("cpu", bf16=True)
    assert device_for(load("moons"), "cpu") == Device("cpu", bf16=False)
