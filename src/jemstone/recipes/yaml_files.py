"""Recipes as YAML files, read by the safe loader and held to their types."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from jemstone.errors import Mistake
from jemstone.files import write_whole
from jemstone.recipes.schema import Recipe

__all__ = ["read_recipe", "read_yaml", "recipe_from", "to_yaml", "write_recipe"]


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
    from jsonargparse import ArgumentParser

    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("recipe", type=Recipe, default=base or Recipe())
    try:
        recipe = parser.instantiate(parser.parse_object({"recipe": plain})).recipe
    except Exception as error:  # argument and type errors of several libraries
        raise Mistake(" ".join(str(error).split())) from error
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
    try:
        return recipe_from(read_yaml(path), base)
    except Mistake as error:
        raise Mistake(f"{path} is not a recipe: {error}") from error


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML mapping, by the safe loader.

    Raises:
        Mistake: where the file is missing, or is not one.
    """
    import yaml

    try:
        plain = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise Mistake(f"{path} is missing") from error
    except (OSError, ValueError, yaml.YAMLError, RecursionError) as error:
        raise Mistake(f"{path} is not readable YAML: {' '.join(str(error).split())}") from error
    if not isinstance(plain, dict):
        raise Mistake(f"{path} is not a mapping of fields")
    return plain
