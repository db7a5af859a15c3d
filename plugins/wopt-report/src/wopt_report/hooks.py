"""Names what this plugin brings; imports nothing heavy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import wopt

if TYPE_CHECKING:
    from wopt.registry import Registry

WOPT_API = (1, 1)


@wopt.hookimpl
def wopt_register(registry: Registry) -> None:
    """Name the commands, and the package that the core asks for the page."""
    registry.add_command(
        "report",
        "wopt_report.command:report_command",
        summary="rewrite a run's HTML page",
        reads=True,
    )
    registry.add_command(
        "cite",
        "wopt_report.cite:cite_command",
        summary="print BibTeX of what a run used",
        reads=True,
    )
    registry.add_function("report", "wopt_report")
