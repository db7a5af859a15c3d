"""Names what this plugin brings; imports nothing heavy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import wopt

if TYPE_CHECKING:
    from wopt.registry import Registry

WOPT_API = (1, 1)


@wopt.hookimpl
def wopt_register(registry: Registry) -> None:
    """Name the measurements, the commands and the parts of the report."""
    for name, path, summary in (
        ("certificate", "options:Certify", "lower side, first-order errors, bounds, tests"),
        ("dual", "dual:DualBound", "steps of JKO bounded from both sides"),
        ("first_order", "evidence:FirstOrder", "first-order errors of the steps, and bounds"),
        ("lower_side", "challenge.of_run:Rivals", "what other densities gain over the model"),
        ("mass", "mass:Mass", "the integral of the density of the model"),
        ("resolution", "resolution:Resolutions", "KL between blurred laws, from both sides"),
        ("two_sample", "held_out:TwoSample", "held-out rows against samples"),
    ):
        registry.add("measurement", name, f"wopt_certify.{path}", summary=summary)
    registry.add_command(
        "certify",
        "wopt_certify.command:certify_command",
        summary="measure what a run guarantees, and how each figure is known",
        reads=True,
    )
    registry.add_command(
        "compare",
        "wopt_certify.compare.command:compare_command",
        summary="show runs side by side",
        reads=True,
    )
    registry.add_function("page", "wopt_certify.page:certificate_section", rank=1)
    registry.add_function("pictures", "wopt_certify.page:certificate_pictures", rank=1)
    registry.add_function("advice", "wopt_certify.page:certificate_advice", rank=2)
    registry.add_function("citations", "wopt_certify.citations:certificate_citations", rank=2)
