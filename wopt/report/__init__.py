"""The report of a run: data for its pictures, collected once, and a page made of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wopt.lazy import exports

if TYPE_CHECKING:
    from wopt.report.charts import Chart as Chart
    from wopt.report.charts import line_range as line_range
    from wopt.report.charts import log_range as log_range
    from wopt.report.charts import whole as whole
    from wopt.report.collection import collect as collect
    from wopt.report.pages import number as number
    from wopt.report.pages import page as page
    from wopt.report.read import Run as Run
    from wopt.report.read import Snapshot as Snapshot
    from wopt.report.read import read_run as read_run
    from wopt.report.rendering import render as render
    from wopt.report.samples import column as column
    from wopt.report.style import BLUE as BLUE
    from wopt.report.style import GREEN as GREEN
    from wopt.report.style import INK as INK
    from wopt.report.style import MUTED as MUTED
    from wopt.report.style import ORANGE as ORANGE
    from wopt.report.style import PURPLE as PURPLE
    from wopt.report.style import VERMILION as VERMILION
    from wopt.report.style import Picture as Picture
    from wopt.report.style import limits as limits
    from wopt.report.summary import METRICS as METRICS
    from wopt.report.summary import advice as advice
    from wopt.report.summary import status as status
    from wopt.report.summary import subtitle as subtitle
    from wopt.report.verdict import verdict_of as verdict_of

__getattr__, __dir__ = exports(__name__, __file__)
