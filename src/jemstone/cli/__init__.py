"""The command line."""

from jemstone.cli.main import main

__all__ = ["main"]
