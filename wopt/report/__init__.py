"""The report of a run: data for its pictures, collected once, and a page made of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wopt.lazy import exports

if TYPE_CHECKING:
    from wopt.report.collection import collect
    from wopt.report.pages import number, page
    from wopt.report.pieces import png, svg
    from wopt.report.read import Run, Snapshot, read_run
    from wopt.report.reference import METRICS, against_reference
    from wopt.report.rendering import render
    from wopt.report.samples import column
    from wopt.report.style import (
        BLUE,
        GREEN,
        INK,
        MUTED,
        ORANGE,
        PURPLE,
        VERMILION,
        WIDTH,
        Picture,
        decades,
        page_style,
    )
    from wopt.report.summary import flat, status, subtitle

__all__ = [
    "BLUE",
    "GREEN",
    "INK",
    "METRICS",
    "MUTED",
    "ORANGE",
    "PURPLE",
    "VERMILION",
    "WIDTH",
    "Picture",
    "Run",
    "Snapshot",
    "against_reference",
    "collect",
    "column",
    "decades",
    "flat",
    "number",
    "page",
    "page_style",
    "png",
    "read_run",
    "render",
    "status",
    "subtitle",
    "svg",
]

__getattr__, __dir__ = exports(
    __name__,
    {
        "BLUE": "wopt.report.style",
        "GREEN": "wopt.report.style",
        "INK": "wopt.report.style",
        "METRICS": "wopt.report.reference",
        "MUTED": "wopt.report.style",
        "ORANGE": "wopt.report.style",
        "PURPLE": "wopt.report.style",
        "Picture": "wopt.report.style",
        "Run": "wopt.report.read",
        "Snapshot": "wopt.report.read",
        "VERMILION": "wopt.report.style",
        "WIDTH": "wopt.report.style",
        "against_reference": "wopt.report.reference",
        "collect": "wopt.report.collection",
        "column": "wopt.report.samples",
        "decades": "wopt.report.style",
        "flat": "wopt.report.summary",
        "number": "wopt.report.pages",
        "page": "wopt.report.pages",
        "page_style": "wopt.report.style",
        "png": "wopt.report.pieces",
        "read_run": "wopt.report.read",
        "render": "wopt.report.rendering",
        "status": "wopt.report.summary",
        "subtitle": "wopt.report.summary",
        "svg": "wopt.report.pieces",
    },
)
