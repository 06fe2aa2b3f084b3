import pytest


class Eye:
    """A judge that sees pixels."""

    name, sha256, knows_classes = "eye", "0" * 64, True

    def __call__(self, x):
        return x.flatten(1)[:, ::4], x.flatten(1)[:, 16:26]


@pytest.fixture(scope="session")
def eye():
    return Eye()
