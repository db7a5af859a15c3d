"""Warnings about the estimates of a sampler, in words."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist

from torch import Tensor

from wopt.psis import Smoothed
from wopt_posterior.chains import seen_by_chains
from wopt_posterior.diagnostics.draws import InvarianceTest, TruncationTest
from wopt_posterior.diagnostics.report import LostMode

__all__ = [
    "warnings_of_chains",
    "warnings_of_exact",
    "warnings_of_invariance",
    "warnings_of_modes",
    "warnings_of_truncation",
    "warnings_of_weights",
]

_ERRORS = 5.0
"""Standard errors beyond which two numbers disagree."""
_EVEN = 1e-3
"""Nats by which the largest log weight may exceed the mean before the tail of weights matters."""
_LEVEL = 1e-3
"""Probability of a false warning that steps change a mean, or that draws are cut off."""
_HEAVY = 1.5
"""Factor on the errors of a density at a cut, whose tails are heavier than normal ones; see
docs/samplers.md."""
_CUT = 2e-3
"""Density at a cut, in units of one over the deviation, below which the lost mass is negligible:
that of a normal law at 3.3 deviations, beyond which lie 0.05 %."""
_SLACK = 0.05
"""Nats by which the estimate of log(1 + chi^2) may be too small without a warning."""


def warnings_of_weights(
    smoothed: Smoothed, log_z: float, error: float, *, known: float | None
) -> list[str]:
    """Return warnings by the weights' tail, and by a log Z that is known.

    Example:
        >>> import torch
        >>> weights = Smoothed(torch.zeros(10_000), 0.1, 0.7)
        >>> warnings_of_weights(weights, 0.0, 0.01, known=0.0)
        []
    """
    warnings = []
    if _even(smoothed.log_weights):
        pass  # k-hat has no scale: it is the shape of a tail, however little that is
    elif not smoothed.k_hat <= smoothed.threshold:
        warnings.append(
            f"k-hat {smoothed.k_hat:.2g} is above {smoothed.threshold:.2g}: the weights have no "
            "finite variance or too few draws, so log Z, moments and their errors may be far off"
        )
    elif smoothed.k_hat + smoothed.k_hat_error > smoothed.threshold:
        warnings.append(
            f"k-hat {smoothed.k_hat:.2g} is within its own standard error, "
            f"{smoothed.k_hat_error:.1g}, of {smoothed.threshold:.2g}, above which log Z, moments "
            "and their errors may be far off"
        )
    if known is not None and abs(log_z - known) > math.hypot(_ERRORS * error, 1e-3):
        warnings.append(
            f"log Z is known to be {known:.6g} and {log_z:.3g} +- {error:.2g} was found: the "
            "model's draws do not see all of the target, or what it says of itself is false"
        )
    return warnings


def _even(log_weights: Tensor) -> bool:
    """Return whether the largest normalised weight exceeds the mean by less than a thousandth."""
    return float(log_weights.max()) + math.log(len(log_weights)) < _EVEN


def warnings_of_exact(
    log_z: float,
    log_z_error: float,
    efficiency: float,
    eubo: float | None,
    eubo_error: float | None,
) -> list[str]:
    """Return a warning if EUBO contradicts the weights: KL(p | q) <= log(1 + chi^2(p | q)).

    The right side is the limit of log(S/ESS), if the model's draws see all of the target.

    Args:
        log_z: log Z by importance sampling.
        log_z_error: Its standard error.
        efficiency: ESS/S.
        eubo: E_p[-V - log q] at exact draws of the target.
        eubo_error: Its standard error.

    Source: van Erven, Harremoes, Renyi divergence and Kullback-Leibler divergence, 2014.

    Example:
        >>> far = warnings_of_exact(0, 0.01, 0.9, 9, 0.1)
        >>> warnings_of_exact(0.0, 0.01, 0.9, 0.05, 0.01), len(far)
        ([], 1)
    """
    if eubo is None or eubo_error is None:
        return []
    most = log_z - math.log(efficiency)
    slack = math.hypot(eubo_error, log_z_error) if math.isfinite(eubo_error) else 0.0
    if eubo <= most + _ERRORS * slack + _SLACK:
        return []
    return [
        f"EUBO {eubo:.3g} is more than log Z - log(ESS/S) = {most:.3g}, which it cannot exceed: "
        "the model's draws miss a part of the target"
    ]


def warnings_of_chains(of_chains: Tensor | None, of_draws: Tensor, efficiency: float) -> list[str]:
    """Return a warning if the chains of the training see more than the model's draws.

    Args:
        of_chains: log w at the chains, nats, shape ``(m,)``.
        of_draws: log w at the draws, nats, shape ``(n,)``.
        efficiency: ESS/S.

    Example:
        >>> import torch
        >>> w = torch.zeros(400)
        >>> warnings_of_chains(w, w, 1.0), len(warnings_of_chains(w + 1, w, 1.0))
        ([], 1)
    """
    if of_chains is None:
        return []
    seen = seen_by_chains(of_chains, of_draws)
    if seen >= efficiency - _SLACK:
        return []
    least, most = -math.log(max(seen, 1e-300)), -math.log(efficiency)
    return [
        f"chains that were annealed to the target put KL(target | model) at {least:.2g} or more, "
        f"and the weights allow {most:.2g}: the model's draws miss a part"
    ]


def warnings_of_modes(lost: Sequence[LostMode] | None) -> list[str]:
    """Return a warning if the search found lost modes."""
    if not lost:
        return []
    fraction = sum(mode.fraction for mode in lost)
    return [
        f"{len(lost)} mode(s) of the target with about {fraction:.2g} of its mass (estimate) have "
        "almost no draw of the model near them"
    ]


def warnings_of_invariance(drift: InvarianceTest | None) -> list[str]:
    """Return a warning if steps that preserve the target change a mean over the draws.

    Example:
        >>> warnings_of_invariance(InvarianceTest("V", 0.02, 0.01, 5))
        []
    """
    if drift is None:
        return []
    errors = NormalDist().inv_cdf(1 - _LEVEL / (2 * drift.means))  # the largest of so many
    if abs(drift.value) <= errors * drift.error:
        return []
    return [
        f"Metropolis steps, which leave the target as it is, change the mean of {drift.of} by "
        f"{drift.value:.2g} +- {drift.error:.1g}: the model's draws miss a part of the target (an "
        "arm, a tail), which their weights cannot show, so log Z and moments are off"
    ]


def warnings_of_truncation(edge: TruncationTest | None) -> list[str]:
    """Return a warning if draws end where the target goes on.

    Example:
        >>> warnings_of_truncation(TruncationTest(0, True, -2.0, 0.02, 0.01, 1.0, 6))
        []
    """
    if edge is None:
        return []
    errors = _HEAVY * NormalDist().inv_cdf(1 - _LEVEL / edge.ends)  # the largest of so many
    if edge.density <= max(errors * edge.error, _CUT / edge.spread):
        return []
    side = "lower" if edge.below else "upper"
    return [
        f"the model's draws end where the target does not, at the {side} end of coordinate "
        f"{edge.coordinate + 1} (beyond {edge.at:.3g}), where its density is {edge.density:.2g} "
        f"+- {edge.error:.1g}: a part of the target is cut off (a neck, a tail), which their "
        "weights cannot show, so log Z and moments are off"
    ]
