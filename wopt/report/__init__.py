"""The report of a run: data for its pictures, collected once, and a page made of them."""

from wopt.report.collect import collect
from wopt.report.render import render

__all__ = ["collect", "render"]
