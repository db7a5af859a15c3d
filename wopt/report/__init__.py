"""The report of a run: what its pictures need, collected once, and a page made of it."""

from wopt.report.collect import collect
from wopt.report.render import render

__all__ = ["collect", "render"]
