import pytest
import torch

from jemstone.functional.principal import principal_directions, sketch_size

COUNT, SIZE = 300, 120


@pytest.fixture
def rows():
    """Rows whose deviations fall as those of pictures do: as one over their number."""
    turn = torch.linalg.qr(torch.randn(SIZE, SIZE, dtype=torch.float64)).Q
    return torch.randn(COUNT, SIZE, dtype=torch.float64) / torch.arange(1, SIZE + 1) @ turn


def found(rows, rank, chunk=64):
    return principal_directions(lambda: rows.split(chunk), rows.shape[1], rank)


@pytest.mark.parametrize("rank", [0, 1, 8, 40, SIZE])
def test_the_leading_directions_are_those_of_the_scatter(rank, rows):
    values, directions = found(rows, rank)
    expected = torch.linalg.eigvalsh(rows.T @ rows).flip(0)[:rank]
    assert directions.shape == (SIZE, rank)
    torch.testing.assert_close(values, expected, rtol=1e-3, atol=0.0)
    assert values.sum() >= (1 - 1e-5) * expected.sum()
    torch.testing.assert_close(directions.T @ directions, torch.eye(rank, dtype=torch.float64))
    along = (rows @ directions).square().sum(dim=0)
    torch.testing.assert_close(along, values)


def test_of_fewer_rows_than_directions_every_one_is_found(rows):
    few = rows[:10]
    values, directions = found(few, 20)
    torch.testing.assert_close(few @ directions @ directions.T, few)
    assert values[10:].max() <= 1e-12 * values[0]


def test_of_no_variation_nothing_is_captured():
    values, directions = found(torch.zeros(5, SIZE, dtype=torch.float64), 3)
    assert torch.equal(values, torch.zeros(3, dtype=torch.float64))
    assert torch.isfinite(directions).all()


def test_the_same_rows_give_the_same_directions(rows):
    torch.manual_seed(1)
    first = found(rows, 8)
    torch.manual_seed(2)
    assert all(map(torch.equal, first, found(rows, 8)))


def test_fewer_directions_are_followed_than_a_square_has():
    assert sketch_size(12_288, 64) < 200
    assert sketch_size(SIZE, 64) == SIZE
