import dataclasses

import hypothesis
import pytest
from hypothesis import strategies as st

from jemstone.errors import Mistake
from jemstone.recipes import PAPERS, Recipe, changed, flattened, read_recipe, write_recipe

PATHS = dict(flattened(Recipe()))


def other(value):
    """Return another value of the same type."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + 1
    return value


@pytest.mark.parametrize("path", PATHS)
def test_a_change_moves_one_field_and_no_other(path):
    recipe = Recipe()
    moved = dict(flattened(changed(recipe, {path: "moved"})))
    assert moved == PATHS | {path: "moved"}
    assert recipe == Recipe()


def test_no_change_is_the_same_recipe():
    assert changed(Recipe(), {}) == Recipe()


@pytest.mark.parametrize(
    ("path", "guess"),
    [
        ("atack.eps", "attack"),
        ("attack.epz", "eps"),
        ("sampling.energy.step", "steps"),
        ("zzz", None),
        ("attack.zzz", None),
        ("", None),
        ("noise.of", None),
        ("attack.eps.of.what", None),
        (".noise", None),
    ],
)
def test_a_path_that_does_not_exist_is_a_mistake_of_one_line(path, guess):
    with pytest.raises(Mistake, match="no field") as told:
        changed(Recipe(), {path: 1})
    assert "\n" not in str(told.value)
    assert ("did you mean" in str(told.value)) == (guess is not None)
    assert guess is None or f"'{guess}'" in str(told.value)


def test_a_mistake_names_the_whole_path():
    with pytest.raises(Mistake, match=r"sampling\.energy\.step\b"):
        changed(Recipe(), {"sampling.energy.step": 1})


@pytest.mark.parametrize("name", PAPERS)
def test_every_papers_recipe_comes_back_from_its_file(name, tmp_path):
    recipe = PAPERS[name]().recipe()
    write_recipe(tmp_path / "recipe.yaml", recipe)
    assert read_recipe(tmp_path / "recipe.yaml") == recipe


def test_a_recipe_with_every_field_changed_comes_back_from_its_file(tmp_path):
    moved = {path: other(value) for path, value in PATHS.items()} | {
        "name": "mine: #1",
        "budget": "paper",
        "network.norm": "group",
        "optimisation.milestones": (0.25, 1 / 3),
        "optimisation.steps": 7,
        "optimisation.clip_norm": 0.5,
        "walk.clip": 1e-7,
        "walk.mode": "batch",
    }
    recipe = changed(Recipe(), moved)
    write_recipe(tmp_path / "recipe.yaml", recipe)
    assert read_recipe(tmp_path / "recipe.yaml") == recipe


@hypothesis.given(
    noise=st.floats(allow_nan=False, allow_infinity=False),
    clip=st.none() | st.floats(0, 1e300),
    name=st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"])),
)
@hypothesis.example(noise=1e-5, clip=1e22, name="null")
@hypothesis.example(noise=-0.0, clip=None, name="1e-3")
@hypothesis.example(noise=5e-324, clip=0.0, name="yes")
@hypothesis.settings(
    deadline=None,
    derandomize=True,
    max_examples=10,
    suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture],
)
def test_numbers_and_names_come_back_exactly(noise, clip, name, tmp_path):
    recipe = changed(Recipe(), {"noise": noise, "walk.clip": clip, "name": name})
    write_recipe(tmp_path / "recipe.yaml", recipe)
    assert read_recipe(tmp_path / "recipe.yaml") == recipe


def test_a_file_is_complete(tmp_path):
    """Every field stands in it, so a default that changes later changes no old run."""
    import yaml

    write_recipe(tmp_path / "recipe.yaml", Recipe())
    plain = yaml.safe_load((tmp_path / "recipe.yaml").read_text())

    def names(fields, of):
        assert set(fields) == {f.name for f in dataclasses.fields(of)}
        for f in dataclasses.fields(of):
            if dataclasses.is_dataclass(getattr(of, f.name)):
                names(fields[f.name], getattr(of, f.name))

    names(plain, Recipe())


@pytest.mark.parametrize(
    "content",
    [
        None,
        b"",
        b"- a\n- list",
        b"just text",
        b"noise: [",
        b"noise: much",
        b"noize: 0.1",
        b"attack: 3",
        b"attack: {epz: 0.1}",
        b"network: {depth: 1.5}",
        b"budget: huge",
        b"noise: !!python/object/apply:os.system [true]",
        b"\xff\xfe\x00",
    ],
    ids=str,
)
def test_a_file_that_is_no_recipe_is_a_mistake_of_one_line(content, tmp_path):
    path = tmp_path / "recipe.yaml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(Mistake, match=r"recipe.yaml") as told:
        read_recipe(path)
    assert "\n" not in str(told.value)


def test_what_a_file_leaves_out_is_the_default(tmp_path):
    (tmp_path / "recipe.yaml").write_text("attack: {eps: 0.2}\n")
    assert read_recipe(tmp_path / "recipe.yaml") == changed(Recipe(), {"attack.eps": 0.2})
