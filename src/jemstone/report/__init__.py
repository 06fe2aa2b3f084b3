"""What people see: cards, tables, figures."""

from jemstone.report.card import card, figures, overview
from jemstone.report.figure import draw_panels
from jemstone.report.gradients import draw_gradients, gradient_picture
from jemstone.report.landscape import draw_landscapes
from jemstone.report.page import doubts, page
from jemstone.report.plots import plots
from jemstone.report.table import classification_table, generation_table, gradients_table

__all__ = [
    "card",
    "classification_table",
    "doubts",
    "draw_gradients",
    "draw_landscapes",
    "draw_panels",
    "figures",
    "generation_table",
    "gradient_picture",
    "gradients_table",
    "overview",
    "page",
    "plots",
]
