"""Pareto-smoothed importance sampling: smoothed weights and their diagnostic k-hat."""

from wopt.psis.pareto import fit_pareto, pareto_quantiles
from wopt.psis.smoothing import Smoothed, k_hat_threshold, smoothed_importance_weights

__all__ = [
    "Smoothed",
    "fit_pareto",
    "k_hat_threshold",
    "pareto_quantiles",
    "smoothed_importance_weights",
]
