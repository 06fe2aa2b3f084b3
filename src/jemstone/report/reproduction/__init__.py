"""The paper's table and claims, measured: a page, a table to paste, and the figures."""

from jemstone.report.reproduction.page import report_page
from jemstone.report.reproduction.pictures import draw_samples, draw_trajectory
from jemstone.report.reproduction.table import table_markdown

__all__ = ["draw_samples", "draw_trajectory", "report_page", "table_markdown"]
