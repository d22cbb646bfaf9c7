"""From a record and its verdict to files and a first screen; never sees a model."""

from bitcliff.report.console import render_summary
from bitcliff.report.examples_csv import outcome_columns, render_csv
from bitcliff.report.figure import draw_figure
from bitcliff.report.html import render_html
from bitcliff.report.junit import render_junit
from bitcliff.report.write import write_report

__all__ = [
    "draw_figure",
    "outcome_columns",
    "render_csv",
    "render_html",
    "render_junit",
    "render_summary",
    "write_report",
]
