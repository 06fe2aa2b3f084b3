"""Templates filled in: pages that need no other file, and no network."""

from __future__ import annotations

from typing import Any

from jemstone._version import __version__

__all__ = ["render"]


def render(template: str, **names: Any) -> str:
    """Write a page as HTML; whatever it is given is escaped.

    Args:
        template: its file among the package's templates.
        names: what the template speaks of; ``filters`` are functions by name.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("jemstone.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["percent"] = lambda value: "-" if value is None else f"{value:.1%}"
    environment.filters["figure"] = lambda value: "-" if value is None else f"{value:.3g}"
    environment.filters |= names.pop("filters", {})
    return environment.get_template(template).render(version=__version__, **names)
