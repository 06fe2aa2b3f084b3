import itertools
import math

import numpy as np
import pytest
import torch

from jemstone.functional.gaussian import (
    draw_gaussian,
    fit_gaussian,
    fit_low_rank,
    lonely_classes,
)

SIZE, CLASSES, JITTER = 4, 3, 1e-3


@pytest.fixture
def labelled():
    mix = torch.randn(CLASSES, SIZE, SIZE, dtype=torch.float64)
    labels = torch.arange(60) % CLASSES
    images = torch.einsum("nij,nj->ni", mix[labels], torch.randn(60, SIZE, dtype=torch.float64))
    return (images + labels[:, None]).reshape(60, 1, 2, 2), labels


def test_the_fit_is_the_mean_and_covariance_of_each_class(labelled):
    images, labels = labelled
    means, factors = fit_gaussian(images, labels, CLASSES, JITTER)
    for k in range(CLASSES):
        members = images[labels == k].flatten(1).numpy()
        covariance = np.cov(members, rowvar=False) + JITTER * np.eye(SIZE)
        np.testing.assert_allclose(means[k], members.mean(axis=0), rtol=1e-5)
        np.testing.assert_allclose(factors[k] @ factors[k].T, covariance, rtol=1e-4, atol=1e-5)
        assert torch.equal(factors[k], factors[k].tril())


def test_the_jitter_keeps_constant_pixels_drawable():
    images, labels = torch.full((4, 1, 3, 3), 0.5), torch.tensor([0, 0, 1, 1])
    means, factors = fit_gaussian(images, labels, 2, JITTER)
    torch.testing.assert_close(factors, math.sqrt(JITTER) * torch.eye(9).expand(2, 9, 9))
    torch.testing.assert_close(means, torch.full((2, 9), 0.5))


@pytest.mark.parametrize("count", [0, 1])
def test_a_class_of_fewer_than_two_images_takes_the_covariance_of_all(count, labelled):
    images, labels = labelled
    labels = torch.where(labels == 1, 0, labels)
    labels[:count] = 1
    assert lonely_classes(labels, CLASSES) == {1: count}
    means, factors = fit_gaussian(images, labels, CLASSES, JITTER)
    flat = images.flatten(1)
    expected = flat[0] if count else flat.mean(dim=0)
    np.testing.assert_allclose(means[1], expected, rtol=1e-5)
    within = sum((labels == k).sum() - 1 for k in (0, 2))
    scatter = sum(np.cov(flat[labels == k].T) * int((labels == k).sum() - 1) for k in (0, 2))
    covariance = scatter / int(within) + JITTER * np.eye(SIZE)
    np.testing.assert_allclose(factors[1] @ factors[1].T, covariance, rtol=1e-4, atol=1e-5)


def test_the_other_classes_do_not_feel_a_lonely_one(labelled):
    images, labels = labelled
    of_all = fit_gaussian(images, labels, CLASSES, JITTER)
    with_another = fit_gaussian(images, labels, CLASSES + 1, JITTER)
    assert lonely_classes(labels, CLASSES) == {}
    for alone, beside in zip(of_all, with_another, strict=True):
        assert torch.equal(alone, beside[:CLASSES])


@pytest.mark.parametrize("count", [1, 5])
def test_where_every_class_is_lonely_the_images_together_tell(count, labelled):
    images, labels = labelled[0][:count], torch.arange(count)
    means, factors = fit_gaussian(images, labels, count, JITTER)
    flat = images.flatten(1).numpy()
    covariance = np.cov(flat, rowvar=False) if count > 1 else np.zeros((SIZE, SIZE))
    covariance = covariance + JITTER * np.eye(SIZE)
    np.testing.assert_allclose(means, flat, rtol=1e-5)
    np.testing.assert_allclose(factors[0] @ factors[0].T, covariance, rtol=1e-4, atol=1e-5)


def test_moments_of_draws_are_those_of_the_fit(labelled, generator):
    """Cov of an empirical covariance: (S_ii S_jj + S_ij^2) / n, from a normal sample."""
    means, factors = fit_gaussian(*labelled, CLASSES, JITTER)
    n = 20_000
    y = torch.arange(CLASSES).repeat(n)
    draws = draw_gaussian(means, factors, y, generator.normal((len(y), SIZE)))
    for k in range(CLASSES):
        of_class, S = draws[y == k], factors[k] @ factors[k].T
        scale = S.diagonal().sqrt()
        assert ((of_class.mean(dim=0) - means[k]) / scale).abs().max() < 5 / math.sqrt(n)
        spread = torch.sqrt((torch.outer(S.diagonal(), S.diagonal()) + S**2) / n)
        assert ((torch.cov(of_class.T) - S) / spread).abs().max() < 5


def test_a_draw_is_the_mean_plus_the_factor_times_its_normal(labelled):
    means, factors = fit_gaussian(*labelled, CLASSES, JITTER)
    y, normal = torch.tensor([2, 0, 2, 1, 1]), torch.randn(5, SIZE)
    expected = torch.stack([means[k] + factors[k] @ n for k, n in zip(y, normal, strict=True)])
    kept = means.clone()
    torch.testing.assert_close(draw_gaussian(means, factors, y, normal), expected)
    assert torch.equal(means, kept)


def covariances(factors, deviations):
    return factors @ factors.mT + torch.diag_embed(deviations.square())


def full(images, labels, classes=CLASSES):
    means, factors = fit_gaussian(images, labels, classes, JITTER)
    return means, factors @ factors.mT


@pytest.fixture
def wide():
    """Sixty images of three classes, with more pixels than a class has images."""
    mix = torch.randn(CLASSES, 40, 40, dtype=torch.float64) * torch.linspace(1, 0.01, 40)
    labels = torch.arange(60) % CLASSES
    images = torch.einsum("nij,nj->ni", mix[labels], torch.randn(60, 40, dtype=torch.float64))
    return images.reshape(60, 1, 8, 5), labels


def test_at_full_rank_the_moments_are_those_of_full_covariances(labelled):
    means, factors, deviations = fit_low_rank(*labelled, CLASSES, JITTER, SIZE)
    expected = full(*labelled)
    torch.testing.assert_close(means, expected[0])
    torch.testing.assert_close(covariances(factors, deviations), expected[1])


def test_so_are_they_at_the_rank_that_a_class_of_few_images_has(wide):
    means, factors, deviations = fit_low_rank(*wide, CLASSES, JITTER, 60 // CLASSES - 1)
    expected = full(*wide)
    torch.testing.assert_close(means, expected[0])
    torch.testing.assert_close(covariances(factors, deviations), expected[1])
    torch.testing.assert_close(deviations, torch.full_like(deviations, math.sqrt(JITTER)))


@pytest.mark.parametrize("rank", [0, 1, 3, 10, 19])
def test_means_and_variances_of_pixels_are_exact_at_any_rank(rank, wide):
    means, factors, deviations = fit_low_rank(*wide, CLASSES, JITTER, rank)
    expected = full(*wide)
    assert factors.shape == (CLASSES, 40, rank)
    torch.testing.assert_close(means, expected[0])
    variances = factors.square().sum(dim=2) + deviations.square()
    torch.testing.assert_close(variances, expected[1].diagonal(dim1=1, dim2=2))


def test_covariances_come_nearer_with_the_rank(wide):
    """Eckart and Young: the best of rank r is off by the eigenvalues that it lacks, squared; the
    diagonal takes from that error what lies on it."""
    images, labels = wide
    members = images[labels == 0].flatten(1)
    S = torch.cov(members.T)
    values = torch.linalg.eigvalsh(S).flip(0)
    tails = []
    for rank in range(0, 20, 3):
        _, factors, deviations = fit_low_rank(images, labels, CLASSES, JITTER, rank)
        left = S - factors[0].double() @ factors[0].double().T
        tails.append(left.square().sum())
        torch.testing.assert_close(tails[-1], values[rank:].square().sum(), rtol=1e-4, atol=1e-6)
        off = covariances(factors, deviations)[0] - S - JITTER * torch.eye(40)
        on_it = left.diagonal().square().sum()
        torch.testing.assert_close(off.square().sum(), tails[-1] - on_it, rtol=1e-4, atol=1e-5)
    assert all(more > less for more, less in itertools.pairwise(tails))


def test_a_class_of_no_more_images_than_directions_takes_the_covariance_of_all(wide):
    images, labels = wide
    labels = torch.where((labels == 1) & (torch.arange(60) >= 18), 0, labels)  # six stay
    assert lonely_classes(labels, CLASSES, rank=6) == {1: 6}
    assert lonely_classes(labels, CLASSES, rank=5) == {}
    means, factors, deviations = fit_low_rank(images, labels, CLASSES, JITTER, 6)
    flat = images.flatten(1)
    np.testing.assert_allclose(means[1], flat[labels == 1].mean(dim=0), rtol=1e-4, atol=1e-6)
    counts = torch.bincount(labels)
    pooled = sum(np.cov(flat[labels == k].T) * int(counts[k] - 1) for k in range(CLASSES))
    variances = factors[1].square().sum(dim=1) + deviations[1].square()
    expected = np.diag(pooled) / (60 - CLASSES) + JITTER
    np.testing.assert_allclose(variances, expected, rtol=1e-4)


@pytest.mark.parametrize("count", [1, 5])
def test_without_a_class_of_two_a_low_rank_is_of_the_images_together(count, labelled):
    images, labels = labelled[0][:count], torch.arange(count)
    means, factors, deviations = fit_low_rank(images, labels, count, JITTER, SIZE)
    expected = full(images, labels, count)
    torch.testing.assert_close(means, expected[0])
    torch.testing.assert_close(covariances(factors, deviations), expected[1], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("rank", [None, 2])
def test_reading_in_chunks_changes_rounding_alone(rank, wide, monkeypatch):
    def fit():
        if rank is None:
            return full(*wide)
        means, factors, deviations = fit_low_rank(*wide, CLASSES, JITTER, rank)
        return means, covariances(factors, deviations)

    whole = fit()
    monkeypatch.setattr("jemstone.functional.gaussian._CHUNK", 7 * 40)
    for part, of_whole in zip(fit(), whole, strict=True):
        torch.testing.assert_close(part, of_whole)


def test_moments_of_low_rank_draws_are_those_of_the_fit(labelled, generator):
    means, factors, deviations = fit_low_rank(*labelled, CLASSES, JITTER, 2)
    n = 20_000
    y = torch.arange(CLASSES).repeat(n)
    normal = generator.normal((len(y), 2 + SIZE))
    draws = draw_gaussian(means, factors, y, normal, deviations)
    for k, S in enumerate(covariances(factors, deviations)):
        of_class, scale = draws[y == k], S.diagonal().sqrt()
        assert ((of_class.mean(dim=0) - means[k]) / scale).abs().max() < 5 / math.sqrt(n)
        spread = torch.sqrt((torch.outer(S.diagonal(), S.diagonal()) + S**2) / n)
        assert ((torch.cov(of_class.T) - S) / spread).abs().max() < 5
