import copy
import itertools

import pytest
import torch
from torch import nn

from jemstone.nn.modes import MODES, batch_statistics, evaluating, recalibrate

FLAGS = {
    "train": lambda number: True,
    "eval": lambda number: False,
    "mixed": lambda number: number % 3 == 0,
}
modes = pytest.mark.parametrize("mode", MODES.values(), ids=MODES)


def set_flags(model, flags):
    for number, module in enumerate(model.modules()):
        module.training = flags(number)


def norms(model):
    return [m for m in model.modules() if isinstance(m, nn.BatchNorm2d)]


@modes
@pytest.mark.parametrize("flags", FLAGS.values(), ids=FLAGS)
@pytest.mark.parametrize("raises", [False, True])
def test_a_mode_leaves_no_trace(mode, flags, raises, normed, traces):
    set_flags(normed, flags)
    before = traces(normed)
    try:
        with mode(normed):
            normed(torch.rand(4, 1, 4, 4))
            if raises:
                raise KeyError
    except KeyError:
        pass
    assert traces(normed) == before


@pytest.mark.parametrize(("outer", "inner"), list(itertools.product(MODES, MODES)))
def test_modes_nest_and_the_inner_one_counts(outer, inner, normed, traces):
    normed.train()
    before, x = traces(normed), torch.rand(4, 1, 4, 4)
    with MODES[inner](normed):
        expected = normed(x)
    with MODES[outer](normed):
        held = traces(normed)
        with MODES[inner](normed):
            assert torch.equal(normed(x), expected)
        assert traces(normed) == held
    assert traces(normed) == before


def test_evaluating_is_eval_mode(normed):
    x = torch.rand(4, 1, 4, 4)
    expected = copy.deepcopy(normed).eval()(x)
    with evaluating(normed.train()):
        assert torch.equal(normed(x), expected)


def test_batch_statistics_are_those_of_the_batch_without_dropout(normed):
    x = torch.rand(4, 1, 4, 4)
    reference = copy.deepcopy(normed).eval()
    for norm in norms(reference):
        norm.train()
    with batch_statistics(normed.eval()):
        assert torch.equal(normed(x), reference(x))
    assert not torch.allclose(normed(x), reference(x))


def averages(model, batches):
    """Average by hand the mean and the unbiased variance that each batch norm sees."""
    seen = {}

    def note(norm, args):
        channels = args[0].transpose(0, 1).flatten(1)
        seen.setdefault(norm, []).append((channels.mean(dim=1), channels.var(dim=1)))

    reference = copy.deepcopy(model).eval()
    for norm in norms(reference):
        norm.train().register_forward_pre_hook(note)
    for x in batches:
        reference(x)
    return [
        [torch.stack(part).mean(dim=0) for part in zip(*rows, strict=True)]
        for rows in seen.values()
    ]


@pytest.mark.parametrize("flags", FLAGS.values(), ids=FLAGS)
def test_recalibration_sets_the_plain_average_over_clean_batches(flags, normed, traces):
    set_flags(normed, flags)
    before = traces(normed)
    batches = torch.rand(5, 6, 1, 4, 4)
    expected = averages(normed, batches)
    recalibrate(normed, iter(batches))
    for norm, (mean, variance) in zip(norms(normed), expected, strict=True):
        torch.testing.assert_close(norm.running_mean, mean)
        torch.testing.assert_close(norm.running_var, variance)
        assert norm.num_batches_tracked == 5
    after = traces(normed)
    assert {k: v for k, v in after.items() if k != "state"} == {
        k: v for k, v in before.items() if k != "state"
    }


def test_recalibration_forgets_what_was_tracked_before(normed):
    batches = torch.rand(3, 6, 1, 4, 4)
    recalibrate(normed, batches)
    once = copy.deepcopy(normed.state_dict())
    normed.train()(100 * torch.rand(6, 1, 4, 4))
    recalibrate(normed, batches)
    for name, value in normed.state_dict().items():
        assert torch.equal(value, once[name]), name


def test_a_recalibration_that_fails_gives_the_modes_back(normed, traces):
    def batches():
        yield torch.rand(2, 1, 4, 4)
        raise OSError

    normed.train()
    before = traces(normed)
    with pytest.raises(OSError):  # noqa: PT011 - raised above
        recalibrate(normed, batches())
    after = traces(normed)
    assert all(after[k] == before[k] for k in ("training", "tracking", "momentum"))


@pytest.mark.parametrize("norm", ["none", "group"])
def test_without_batch_norm_no_batch_is_read(norm, wide, traces):
    def batches():
        raise AssertionError("read")
        yield

    model = wide(norm)
    before = traces(model)
    recalibrate(model, batches())
    assert traces(model) == before
