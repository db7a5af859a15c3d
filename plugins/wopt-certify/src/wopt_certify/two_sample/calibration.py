"""Calibration of conditional laws by ranks: expected coverage, and TARP."""

from __future__ import annotations

import dataclasses
import math

import torch
from torch import Tensor

from wopt.errors import CapabilityError, DataError
from wopt.flow import Flow
from wopt.particles import split_conditions
from wopt.seeds import generator
from wopt.typed import Typed
from wopt_certify.two_sample.classifier import deviations


def anderson_darling(u: Tensor) -> Tensor:
    """Return the statistic A^2 of uniformity, shape ``(...)``, of values ``(..., n)`` in [0, 1]."""
    n = u.shape[-1]
    u = u.sort(-1)[0].clamp(1e-15, 1 - 1e-15)
    odd = 2 * torch.arange(1, n + 1, dtype=u.dtype) - 1
    return -n - (odd * (u.log() + torch.log1p(-u.flip(-1)))).sum(-1) / n


def ranks_among(value: Tensor, of_draws: Tensor, seed: int) -> Tensor:
    """Return ranks of values ``(n,)`` among draws ``(n, L)``, in (0, 1), ties broken at random."""
    chance = torch.rand(len(value), generator=generator(seed, "ranks"), dtype=torch.float64)
    below = (of_draws < value[:, None]).sum(1)
    ties = (of_draws == value[:, None]).sum(1)
    return (below + chance * (ties + 1)) / (of_draws.shape[1] + 1)


_LEVELS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
_SIMULATIONS = 999


@dataclasses.dataclass(frozen=True)
class CoverageReport(Typed):
    """Nominal and actual coverage of regions that should hold a fraction of the truth.

    Attributes:
        coverage: The fraction of held-out rows in the regions of that level.
        error: Standard error of each under calibration.
        p_value: p-value of "calibrated", Anderson and Darling's test of the ranks, by simulation.
        verdict: ``calibrated`` (not rejected at 1 %) or ``not calibrated``; of highest-density
            regions also in which way, ``too narrow`` or ``too wide``.
        draws: Draws of the model for each row.
    """

    levels: tuple[float, ...]
    coverage: tuple[float, ...]
    error: tuple[float, ...]
    p_value: float
    verdict: str
    rows: int
    draws: int


def expected_coverage(log_density: Tensor, of_draws: Tensor, seed: int = 0) -> CoverageReport:
    """Return the coverage of highest-density regions.

    The rank of y in its own condition is the fraction of L draws of the model, given the same
    condition, of higher density: uniform if the model is right. The regions of a model that is too
    narrow hold less than the level. A model that ignores the conditions and has the right law on
    average is not detected.

    Args:
        log_density: The model's log-density at held-out y, given their conditions, shape ``(n,)``.
        of_draws: The log-density at L draws given the same conditions, shape ``(n, L)``.

    Source: Hermans et al., A trust crisis in simulation-based inference?, 2022; Talts et al.,
    Validating Bayesian inference algorithms with simulation-based calibration, 2018.

    Example:
        >>> z = torch.randn(500, 51, generator=torch.Generator().manual_seed(0)).double()
        >>> expected_coverage(-z[:, 0] ** 2, -z[:, 1:] ** 2).verdict
        'calibrated'
    """
    ranks = ranks_among(-log_density, -of_draws, seed)
    report = _report(ranks, of_draws.shape[1], seed)
    if report.verdict == "calibrated":
        return report
    verdict = "too narrow" if float(ranks.mean()) > 0.5 else "too wide"
    return dataclasses.replace(report, verdict=verdict)


def tarp_coverage(
    rows: Tensor, draws: Tensor, conditions: Tensor | None = None, seed: int = 0
) -> CoverageReport:
    """Return the coverage of balls around random points (TARP), without a density.

    The rank of y is the fraction of L draws that are nearer to a reference point than y; uniform if
    the model is right. Half of the rows serve as points, each for the rows of the other half whose
    condition is nearest to its own: these also detect a model that ignores the conditions.

    Args:
        rows: Held-out y, shape ``(n, d)``.
        draws: L draws of the model given the same conditions, shape ``(n, L, d)``.
        conditions: Shape ``(n, c)``; without them reference rows are taken at random.

    Raises:
        DataError: There are fewer than 4 rows, or the shapes do not fit.

    Source: Lemos, Coogan, Hezaveh, Perreault-Levasseur, Sampling-based accuracy testing of
    posterior estimators for general inference, 2023.
    """
    if len(rows) < 4 or draws.shape[0] != len(rows) or draws.shape[2:] != rows.shape[1:]:
        raise DataError(
            f"TARP needs rows (n, d), n >= 4, and draws (n, L, d), got {tuple(rows.shape)} and "
            f"{tuple(draws.shape)}"
        )
    order = torch.randperm(len(rows), generator=generator(seed, "tarp"))
    half = len(rows) // 2
    points, tested = order[:half], order[half:]
    chosen = torch.arange(len(tested)) % half
    if conditions is not None:
        u = conditions.double() / deviations(conditions)
        chosen = torch.cdist(u[tested], u[points]).argmin(1)
    unit = deviations(rows)
    reference = rows[points][chosen].double() / unit
    away = (rows[tested].double() / unit - reference).norm(dim=1)
    of_draws = (draws[tested].double() / unit - reference[:, None]).norm(dim=2)
    ranks = ranks_among(away, of_draws, seed)
    return _report(ranks, draws.shape[1], seed)


def _report(ranks: Tensor, draws: int, seed: int) -> CoverageReport:
    n = len(ranks)
    rng = generator(seed, "uniform")
    null = torch.rand(_SIMULATIONS, n, generator=rng, dtype=torch.float64)
    above = (anderson_darling(null) >= anderson_darling(ranks)).sum()
    p_value = (1 + int(above)) / (_SIMULATIONS + 1)
    return CoverageReport(
        levels=_LEVELS,
        coverage=tuple(float((ranks <= level).double().mean()) for level in _LEVELS),
        error=tuple(math.sqrt(level * (1 - level) / n) for level in _LEVELS),
        p_value=p_value,
        verdict="calibrated" if p_value > 0.01 else "not calibrated",
        rows=n,
        draws=draws,
    )


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
        reports = [one for one in (self.density, self.distance) if one is not None]
        return any(one.verdict != "calibrated" for one in reports)

    def text(self) -> str:
        """Return the verdicts in words."""
        parts = {"highest-density regions": self.density, "balls (TARP)": self.distance}
        return "; ".join(
            f"{name}: {one.verdict} (p = {one.p_value:.3g}; regions of 90 % hold "
            f"{one.coverage[-1]:.1%} of {one.rows} held-out rows)"
            for name, one in parts.items()
            if one is not None
        )


@torch.no_grad()
def conditional_evidence(
    flow: Flow, rows: Tensor, *, draws: int = 100, seed: int = 0
) -> ConditionalReport:
    """Check a conditional flow's calibration on held-out rows, at most 1000 of them.

    Args:
        flow: A flow whose last columns are conditions.
        rows: Held-out rows, shape ``(n, d)``, conditions last, in the data's units.

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
