"""The paper's table and claims, measured: a page, a table to paste, and the figures."""

from jemstone.report.reproduction.matrix import matrix_markdown
from jemstone.report.reproduction.page import report_page
from jemstone.report.reproduction.pictures import FIGURES, draw_samples, draw_trajectory
from jemstone.report.reproduction.table import table_markdown
from jemstone.report.reproduction.words import NAMES, named

__all__ = [
    "FIGURES",
    "NAMES",
    "draw_samples",
    "draw_trajectory",
    "matrix_markdown",
    "named",
    "report_page",
    "table_markdown",
]
