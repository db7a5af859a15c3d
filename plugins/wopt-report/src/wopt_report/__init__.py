"""The page of a run, made of data that are collected once, and BibTeX of what it used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wopt.lazy import exports

if TYPE_CHECKING:
    from wopt_report.charts import Chart as Chart
    from wopt_report.charts import line_range as line_range
    from wopt_report.charts import log_range as log_range
    from wopt_report.charts import whole as whole
    from wopt_report.cite import Cited as Cited
    from wopt_report.cite import cited as cited
    from wopt_report.cite import cited_component as cited_component
    from wopt_report.cite import components as components
    from wopt_report.collection import collect as collect
    from wopt_report.pages import number as number
    from wopt_report.pages import page as page
    from wopt_report.rendering import of_solution as of_solution
    from wopt_report.rendering import render as render
    from wopt_report.run import FIGURES as FIGURES
    from wopt_report.run import SNAPSHOT as SNAPSHOT
    from wopt_report.run import PlottedRun as PlottedRun
    from wopt_report.run import Snapshot as Snapshot
    from wopt_report.run import read_figures as read_figures
    from wopt_report.run import read_plotted_run as read_plotted_run
    from wopt_report.run import read_snapshot as read_snapshot
    from wopt_report.samples import column as column
    from wopt_report.style import BLUE as BLUE
    from wopt_report.style import GREEN as GREEN
    from wopt_report.style import INK as INK
    from wopt_report.style import MUTED as MUTED
    from wopt_report.style import ORANGE as ORANGE
    from wopt_report.style import PURPLE as PURPLE
    from wopt_report.style import VERMILION as VERMILION
    from wopt_report.style import Picture as Picture
    from wopt_report.style import limits as limits
    from wopt_report.summary import METRICS as METRICS
    from wopt_report.summary import status as status
    from wopt_report.summary import subtitle as subtitle

__getattr__, __dir__ = exports(__name__, __file__)
