"""Names what this plugin brings; imports nothing heavy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import wopt

if TYPE_CHECKING:
    from wopt.registry import Registry

WOPT_API = (1, 1)


@wopt.hookimpl
def wopt_register(registry: Registry) -> None:
    """Name the measurements and the parts of the report."""
    registry.add(
        "measurement",
        "evolution",
        "wopt_evolution.measurements:Exactness",
        summary="snapshots, and distances from the exact solution",
    )
    registry.add(
        "measurement",
        "populations",
        "wopt_evolution.measurements:Populations",
        summary="arrivals at populations, and those left out",
    )
    registry.add_function("times", "wopt_evolution.times:write_times")
    registry.add_function("page", "wopt_evolution.page:evolution_section", rank=-1)
    registry.add_function("pictures", "wopt_evolution.page:evolution_pictures", rank=-1)
    registry.add_function("summary", "wopt_evolution.summary:evolution_summary", rank=1)
