"""Recipes as YAML files, read by the safe loader and held to their types."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, get_type_hints

from jemstone.errors import Mistake, brief, nearest
from jemstone.files import read_text, write_whole
from jemstone.recipes.schema import Recipe

__all__ = ["read_recipe", "read_yaml", "recipe_from", "to_yaml", "write_recipe"]

_LONGEST, _DEEPEST = 100_000, 10  # characters, and mappings within mappings
_LONGEST_WORD = 100


def write_recipe(path: Path, recipe: Recipe) -> None:
    """Write a recipe as YAML, resolved and complete."""
    write_whole(path, lambda beside: beside.write_text(to_yaml(recipe), encoding="utf-8"))


def to_yaml(recipe: Recipe) -> str:
    """Return a recipe as YAML, resolved and complete."""
    import yaml

    plain = dataclasses.asdict(recipe)
    plain["optimisation"]["milestones"] = list(recipe.optimisation.milestones)
    return yaml.safe_dump(plain, sort_keys=False)


def recipe_from(plain: Any, base: Recipe | None = None) -> Recipe:
    """Build a recipe from nested mappings, as YAML gives them.

    Args:
        plain: fields by name; unknown ones are refused.
        base: what fields that are absent are taken from.

    Raises:
        Mistake: where a field is unknown, or of another type.
    """
    # Before the argument library, which would take a file's name or code's for a part.
    from jsonargparse import ArgumentParser

    _check_fields(plain, Recipe)
    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("recipe", type=Recipe, default=base or Recipe())
    try:
        recipe = parser.instantiate(parser.parse_object({"recipe": plain})).recipe
    except Exception as error:  # argument and type errors of several libraries
        raise Mistake(brief(error)) from error
    if not isinstance(recipe, Recipe):
        raise Mistake("a recipe is a mapping of fields")
    return recipe


def read_recipe(path: Path, base: Recipe | None = None) -> Recipe:
    """Read what :func:`write_recipe` wrote, or a part of it.

    Args:
        path: a YAML file.
        base: what fields that are absent are taken from.

    Raises:
        Mistake: where the file is missing, is not YAML, or does not hold a recipe.
    """
    plain = read_yaml(path)
    try:
        return recipe_from(plain, base)
    except Mistake as error:
        raise Mistake(f"{path} is not a recipe: {error}") from error


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML mapping, by the safe loader.

    Raises:
        Mistake: where the file is missing, or is not one.
    """
    import yaml

    text = read_text(path)
    if len(text) > _LONGEST:
        raise Mistake(f"{path} is too long to be a recipe")
    try:
        plain = yaml.load(text, _loader())
    except (ValueError, OverflowError, yaml.YAMLError, RecursionError) as error:
        raise Mistake(f"{path} is not readable YAML: {brief(error)}") from error
    if not isinstance(plain, dict):
        raise Mistake(f"{path} is not a mapping of fields")
    return plain


def _loader() -> Any:
    """Return the safe loader, without aliases (a few lines of them make a billion values)."""
    import yaml

    class Plain(yaml.SafeLoader):
        depth = 0

        def compose_node(self, parent: Any, index: Any) -> Any:
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            if self.check_event(yaml.AliasEvent):
                raise yaml.composer.ComposerError(None, None, "aliases are not read", mark)
            if self.depth > _DEEPEST:
                raise yaml.composer.ComposerError(None, None, "it is nested too deeply", mark)
            self.depth += 1
            node = super().compose_node(parent, index)
            self.depth -= 1
            return node

    return Plain


def _check_fields(plain: Any, kind: type, above: str = "") -> None:
    """Hold mappings to the fields of a recipe, and values to plain ones.

    Raises:
        Mistake: naming the first field that is not a recipe's.
    """
    if not isinstance(plain, dict):
        raise Mistake(f"{above.rstrip('.') or 'a recipe'} is a mapping of fields")
    kinds = get_type_hints(kind)
    for name, value in plain.items():
        if name not in kinds:
            guess = nearest(str(name)[:_LONGEST_WORD], kinds)
            hint = f": did you mean '{above}{guess}'?" if guess else ""
            raise Mistake(f"a recipe has no field '{above}{str(name)[:_LONGEST_WORD]}'{hint}")
        if dataclasses.is_dataclass(kinds[name]):
            _check_fields(value, kinds[name], f"{above}{name}.")
        elif not all(map(_is_plain, value if isinstance(value, list | tuple) else [value])):
            raise Mistake(f"{above}{name} is neither a number nor a word")


def _is_plain(value: Any) -> bool:
    if isinstance(value, str):
        return len(value) <= _LONGEST_WORD
    return value is None or isinstance(value, bool | int | float)
