"""The compiled kernels do what torch's own do in more passes; without them all goes on."""

import pytest
import torch
import torch.nn.functional as F

from jemstone.nn import kernels

there = pytest.mark.skipif(kernels.compiled() is None, reason="no gcc here")
DTYPES = {"float32": (torch.float32, 1e-5), "bfloat16": (torch.bfloat16, 1e-2)}
SLOPE = 0.2


def images(channels, dtype, batch=3):
    x = torch.randn(batch, channels, 5, 7).to(dtype)
    return x.contiguous(memory_format=torch.channels_last)


def close(found, expected, tolerance):
    atol = tolerance * float(expected.abs().max())
    torch.testing.assert_close(found.double(), expected.double(), rtol=tolerance, atol=atol)


@there
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("added", [False, True])
@pytest.mark.parametrize("channels", [1, 16, 40])
@pytest.mark.parametrize("name", DTYPES)
def test_a_kernel_is_what_automatic_differentiation_finds(name, channels, added, threads):
    dtype, tolerance = DTYPES[name]
    x, g, other = (images(channels, dtype) for _ in range(3))
    weight, bias = torch.randn(channels), torch.randn(channels)
    leaf = [t.float().double().requires_grad_() for t in (x, weight, bias)]
    end = F.leaky_relu(F.batch_norm(leaf[0], None, None, *leaf[1:], training=True), SLOPE)
    expected = torch.autograd.grad(end, leaf, g.double())
    mean, variance = (f(x.float(), (0, 2, 3)) for f in (torch.mean, lambda x, d: x.var(d, False)))
    deviation = (variance + 1e-5).rsqrt()
    scale, shift = weight * deviation, bias - mean * weight * deviation
    former = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        more = other if added else None
        a = kernels.scaled(x, scale, shift, SLOPE)
        found = kernels.pulled_norm(g, x, more, weight, mean, deviation, scale, shift, SLOPE)
        pulled = kernels.pulled_activation(g, a, more, SLOPE)
    finally:
        torch.set_num_threads(former)
    rest = other.double() if added else 0.0
    close(a, end.detach(), tolerance)
    for mine, theirs in zip(found, (expected[0] + rest, *expected[1:]), strict=True):
        close(mine, theirs, tolerance)
    close(pulled, g.double() * torch.where(a > 0, 1.0, SLOPE) + rest, tolerance)


@there
@pytest.mark.parametrize("name", DTYPES)
def test_what_is_not_a_number_stays_so(name):
    x = images(4, DTYPES[name][0])
    x[0, 1, 2, 3] = float("nan")
    x[1, 2, 3, 4] = float("inf")
    end = kernels.scaled(x, torch.ones(4), torch.zeros(4), SLOPE)
    assert torch.equal(end.isnan(), x.isnan())
    assert torch.equal(end.isinf(), x.isinf())


@there
@pytest.mark.parametrize("change", ["double", "contiguous", "shape"])
def test_other_tensors_are_left_to_torch(change):
    x = images(4, torch.float32)
    other = {"double": x.double(), "contiguous": x.contiguous(), "shape": x[:1]}[change]
    assert kernels.pulled_activation(x, x, other, SLOPE) is None
    assert kernels.pulled_activation(x[:0], x[:0], None, SLOPE) is None


@pytest.mark.parametrize("change", ["environment", "no compiler", "broken", "system"])
def test_without_a_compiler_there_are_none(change, monkeypatch, tmp_path):
    if change == "environment":
        monkeypatch.setenv("JEMSTONE_KERNELS", "0")
    if change == "no compiler":
        monkeypatch.setenv("PATH", str(tmp_path))
    if change == "system":
        monkeypatch.setattr(kernels.sys, "platform", "darwin")
    if change == "broken":
        (tmp_path / "gcc").write_text("#!/bin/sh\nexit 1\n")
        (tmp_path / "gcc").chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path))
    assert kernels.compiled.__wrapped__() is None
    monkeypatch.setattr(kernels, "compiled", lambda: None)
    x = images(4, torch.float32)
    assert kernels.scaled(x, torch.ones(4), torch.zeros(4), SLOPE) is None
