"""Calibration of a conditional flow on held-out rows."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from wopt.errors import CapabilityError
from wopt.flow import Flow
from wopt.particles import split_conditions
from wopt.seeds import generator
from wopt.typed import Typed
from wopt_certify.two_sample.coverage import CoverageReport, expected_coverage, tarp_coverage

__all__ = ["ConditionalReport", "conditional_evidence"]

_MOST = 1000


@dataclasses.dataclass(frozen=True)
class ConditionalReport(Typed):
    """Both calibration checks of a conditional model.

    Attributes:
        density: Expected coverage of highest-density regions; ``None`` without a density.
        distance: Coverage of balls (TARP).
    """

    density: CoverageReport | None
    distance: CoverageReport

    @property
    def wrong(self) -> bool:
        """Whether a check rejects calibration."""
        reports = [self.distance, *([] if self.density is None else [self.density])]
        return any(one.verdict != "calibrated" for one in reports)

    def text(self) -> str:
        """Return the verdicts in words."""
        parts = [("balls (TARP)", self.distance)]
        if self.density is not None:
            parts.insert(0, ("highest-density regions", self.density))
        said = [
            f"{name}: {one.verdict} (p = {one.p_value:.3g}; regions of 90 % hold "
            f"{one.coverage[-1]:.1%} of {one.rows} held-out rows)"
            for name, one in parts
        ]
        return "; ".join(said)


@torch.no_grad()
def conditional_evidence(
    flow: Flow, rows: Tensor, *, draws: int = 100, seed: int = 0
) -> ConditionalReport:
    """Check a conditional flow's calibration on held-out rows, at most 1000 of them.

    Args:
        flow: A flow whose last columns are conditions.
        rows: Held-out rows, shape ``(n, d)``, conditions last, in the data's units.
        draws: Draws of the model for each row.
        seed: Seed of the draws.

    Raises:
        CapabilityError: The flow has no conditions.
    """
    if not flow.condition:
        raise CapabilityError("expected coverage needs a conditional model, which this is not")
    rows = rows[:_MOST].double().cpu()
    moved, given = split_conditions(rows, flow.condition)
    x, of_draws = flow.sample_and_log_prob(
        draws, generator=generator(seed, "given"), conditions=given
    )
    y = x.double().cpu().transpose(0, 1)
    distance = tarp_coverage(moved, y, given, seed)
    density = None
    if not bool(torch.isnan(of_draws).all()):
        log_density = flow.log_prob(rows).double().cpu()
        density = expected_coverage(log_density, of_draws.double().cpu().T, seed)
    return ConditionalReport(density, distance)
