"""What is known of a finished run, in words; wopt-report makes the page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wopt.lazy import exports

if TYPE_CHECKING:
    from wopt.report.read import Run as Run
    from wopt.report.read import read_run as read_run
    from wopt.report.verdict import advice as advice
    from wopt.report.verdict import verdict_of as verdict_of

__getattr__, __dir__ = exports(__name__, __file__)
