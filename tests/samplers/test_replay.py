import math

import pytest
import torch
from scipy import stats

from jemstone.errors import Mistake
from jemstone.random import Generator
from jemstone.samplers import SGLD, Persistent, ReplayBuffer, Uniform, join_chains

SHAPE = (1, 4, 4)
CLASSES = 3
OLD = 9.0  # no init draws it


@pytest.fixture
def buffer():
    def build(size=30, reinit=0.0, init=None, old=True):
        buffer = ReplayBuffer(init or Uniform(SHAPE), size, CLASSES, reinit, Generator(1))
        if old:
            buffer.images.fill_(OLD)
        return buffer

    return build


def fresh(x):
    return (x != OLD).flatten(1).all(dim=1)


def test_what_is_put_is_drawn_again(buffer, images, labels, generator):
    chains = buffer(size=3000)
    _, slots = chains.draw(labels, generator)
    assert len(slots.unique()) == 8
    chains.put(slots, images)
    x, again = chains.draw(labels, generator)
    assert torch.equal(again, slots)
    assert torch.equal(x, images.float())
    assert (chains.images == OLD).flatten(1).all(dim=1).sum() == len(chains) - 8


@pytest.mark.parametrize(("size", "slots"), [(3, 3), (30, 30), (31, 30), (32, 30)])
def test_each_class_has_its_slots(size, slots, buffer, generator):
    chains = buffer(size=size)
    y = torch.arange(600) % CLASSES
    _, drawn = chains.draw(y, generator)
    assert len(chains) == slots
    assert torch.equal(drawn // (slots // CLASSES), y)
    assert torch.equal(drawn.unique(), torch.arange(slots))


def test_every_slot_of_a_class_is_as_likely(buffer, generator):
    _, drawn = buffer(size=30).draw(torch.ones(5000, dtype=torch.int64), generator)
    counts = torch.bincount(drawn - 10, minlength=10)
    assert stats.chisquare(counts.numpy()).pvalue > 1e-3


def test_slots_are_filled_with_their_class(buffer):
    def shade(y, generator):
        return y.float().reshape(-1, 1, 1, 1).expand(-1, *SHAPE).clone()

    chains = buffer(init=shade, old=False)
    y = torch.tensor([2, 0, 1, 1])
    x, _ = chains.draw(y, Generator(0))
    assert torch.equal(x, shade(y, None))


@pytest.mark.parametrize(("reinit", "share"), [(0.0, 0.0), (0.05, 0.05), (0.5, 0.5), (1.0, 1.0)])
def test_the_share_of_new_chains(reinit, share, buffer, generator):
    """None at 0, all at 1, and binomial between."""
    n = 4000
    x, _ = buffer(reinit=reinit).draw(torch.arange(n) % CLASSES, generator)
    tolerance = 5 * math.sqrt(share * (1 - share) / n)
    assert abs(float(fresh(x).float().mean()) - share) <= tolerance


@pytest.mark.parametrize("reinit", [0.3, 1.0])
def test_a_new_chain_is_the_inits_own_draw_for_that_image(reinit, buffer, generator):
    y = torch.arange(200) % CLASSES
    x, _ = buffer(reinit=reinit).draw(y, generator)
    expected = Uniform(SHAPE)(y, generator.fold("init"))
    new = fresh(x)
    assert torch.equal(x[new], expected[new])
    assert (x[~new] == OLD).all()


@pytest.mark.parametrize("reinit", [0.0, 0.3, 1.0])
def test_the_chain_of_a_place_depends_on_its_number_and_label_alone(reinit, buffer, generator):
    y, places = torch.arange(40) % CLASSES, torch.tensor([7, 31, 2])
    chains = buffer(reinit=reinit, old=False)
    whole, alone = chains.draw(y, generator), chains.draw(y[places], generator.at(places))
    assert torch.equal(alone[0], whole[0][places])
    assert torch.equal(alone[1], whole[1][places])


def test_a_draw_is_a_copy(buffer, labels, generator):
    chains = buffer()
    x, _ = chains.draw(labels, generator)
    x.zero_()
    assert (chains.images == OLD).all()


@pytest.mark.parametrize("slots", [[], [4], [0, 12, 29]])
def test_renewed_chains_are_the_inits_own_draws(slots, buffer, generator):
    chains, numbers = buffer(), torch.tensor(slots, dtype=torch.int64)
    chains.renew(numbers, generator)
    assert fresh(chains.images).nonzero().flatten().tolist() == slots
    y = torch.arange(CLASSES).repeat_interleave(10)
    expected = Uniform(SHAPE)(y, generator)
    assert torch.equal(chains.images[numbers], expected[numbers])


@pytest.mark.parametrize("world", [2, 3])
def test_renewed_chains_are_the_same_however_many_hold_them(world, generator):
    shares = []
    for rank in range(world):
        held = ReplayBuffer(
            Uniform(SHAPE), 30, CLASSES, 0.0, Generator(1), slice(rank, None, world)
        )
        held.renew(torch.arange(len(held)), generator)
        shares.append(held.images)
    whole = ReplayBuffer(Uniform(SHAPE), 30, CLASSES, 0.0, Generator(1))
    whole.renew(torch.arange(30), generator)
    assert torch.equal(join_chains(shares, CLASSES).flatten(0, 1), whole.images)


def test_of_doubled_slots_the_last_stays(buffer):
    chains = buffer()
    slots = torch.tensor([4, 7, 4, 0, 7, 4])
    x = torch.arange(6.0).reshape(-1, 1, 1, 1).expand(-1, *SHAPE)
    chains.put(slots, x)
    kept = chains.images[:, 0, 0, 0]
    assert kept[[4, 7, 0]].tolist() == [5.0, 4.0, 3.0]
    assert (kept == OLD).sum() == len(chains) - 3


def test_the_state_comes_back(buffer, labels, generator):
    chains, other = buffer(old=False), buffer()
    other.load_state_dict({name: value.clone() for name, value in chains.state_dict().items()})
    assert torch.equal(other.images, chains.images)
    other.put(torch.tensor([0]), torch.zeros(1, *SHAPE))
    assert not torch.equal(other.images, chains.images)


def dealt(size, world, seed=1):
    """Deal one buffer's slots among `world` holders."""
    shares = [slice(rank, None, world) for rank in range(world)]
    return [
        ReplayBuffer(Uniform(SHAPE), size, CLASSES, 0.0, Generator(seed), share) for share in shares
    ]


@pytest.mark.parametrize("world", [1, 2, 3, 5, 10])
def test_holders_of_a_buffer_have_the_chains_of_one(world, labels, generator):
    (alone,), shares = dealt(30, 1), dealt(30, world)
    whole = join_chains([share.images for share in shares], CLASSES)
    assert torch.equal(whole.flatten(0, 1), alone.images)
    for share in shares:
        x, slots = share.draw(labels, generator)
        assert torch.equal(slots // share.slots_per_class, labels)
        assert torch.equal(x, share.images[slots])


@pytest.mark.parametrize("before", [1, 2, 3, 10])
@pytest.mark.parametrize("after", [1, 2, 4, 10])
def test_dealing_anew_loses_no_chain_and_doubles_none(before, after):
    saved = [share.state_dict() for share in dealt(30, before)]
    others = dealt(30, after, seed=2)
    for other in others:
        other.load_state_dict(*saved)
    whole = join_chains([other.images for other in others], CLASSES)
    assert torch.equal(whole.flatten(0, 1), dealt(30, 1)[0].images)


@pytest.mark.parametrize("kept", [1, 2])
def test_a_lost_share_is_a_mistake(kept):
    saved = [share.state_dict() for share in dealt(30, 3)][:kept]
    (alone,) = dealt(30, 1)
    with pytest.raises(Mistake, match="shape"):
        alone.load_state_dict(*saved)


def test_more_holders_than_slots_of_a_class_are_a_mistake():
    with pytest.raises(Mistake, match="dealt among 11 processes"):
        dealt(30, 11)


@pytest.mark.parametrize("shape", [(29, 1, 4, 4), (30, 1, 4, 5), (30, 3, 4, 4), (30, 16)])
def test_chains_of_another_shape_are_a_mistake(shape, buffer):
    chains = buffer()
    with pytest.raises(Mistake, match="shape"):
        chains.load_state_dict({"images": torch.zeros(shape)})
    assert (chains.images == OLD).all()


@pytest.mark.parametrize("size", [0, 1, CLASSES - 1])
def test_fewer_slots_than_classes_are_a_mistake(size, buffer):
    with pytest.raises(Mistake, match=f"{size} slots"):
        buffer(size=size)


def test_a_persistent_chain_goes_on_where_it_stopped(buffer, quadratic, labels, generator):
    """Gradient descent on x^2 / 2, three times two steps, is one walk of six."""
    chains = buffer(size=3000, old=False)
    y = labels.repeat(2)
    begun, slots = chains.draw(y, generator.fold("draw"))
    assert len(slots.unique()) == 16
    sampler = Persistent(chains, SGLD(2, 0.1, 0.0))
    for _ in range(3):
        x = sampler(quadratic(), y, generator)
    torch.testing.assert_close(x, 0.9**6 * begun)
    assert torch.equal(chains.images[slots], x)
    assert not chains.images.requires_grad
