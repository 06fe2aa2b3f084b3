import math

import numpy as np
import pytest
import torch

from jemstone.functional.gaussian import draw_gaussian, fit_gaussian, lonely_classes

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
