import pytest

from jemstone.errors import Mistake, nearest, unknown


@pytest.mark.parametrize(
    ("name", "names", "guess"),
    [
        ("robust-jam", ["jem", "robust-jem"], "robust-jem"),
        ("digit", ["digits", "mnist"], "digits"),
        ("xyz", ["digits", "mnist"], None),
        ("", ["digits"], None),
        ("digits", [], None),
    ],
)
def test_the_nearest_name_is_guessed_or_none(name, names, guess):
    assert nearest(name, names) == guess
    told = str(unknown("data set", name, iter(names)))
    assert ("did you mean" in told) == (guess is not None)
    assert all(known in told for known in names)


def test_an_unknown_name_is_a_mistake_of_one_line():
    mistake = unknown("norm", "l3", {"linf": 1, "l2": 2})
    assert isinstance(mistake, Mistake)
    assert isinstance(mistake, ValueError)
    assert str(mistake) == "no norm 'l3': did you mean 'l2'? (known: linf, l2)"
