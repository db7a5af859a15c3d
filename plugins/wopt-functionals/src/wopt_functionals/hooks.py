"""Names what this plugin brings; imports nothing heavy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import wopt

if TYPE_CHECKING:
    from wopt.registry import Registry

WOPT_API = (1, 0)

_OBJECTIVES = (
    ("chi2", "density.f_divergence:Chi2", "chi-squared divergence to a target"),
    ("dual_f_divergence", "samples.dual:DualFDivergence", "f-divergence from target samples"),
    ("energy_distance", "samples.energy_distance:EnergyDistance", "2E|X-Y| - E|X-X'| - E|Y-Y'|"),
    ("entropy", "density.entropy:Entropy", "minus the entropy, E log rho"),
    ("f_divergence", "density.f_divergence:FDivergence", "alpha family, or any convex f"),
    ("fisher_information", "points.fisher:FisherInformation", "E |grad log rho|^2, or relative"),
    ("forward_kl", "density.f_divergence:ForwardKL", "KL(q|rho), by importance weights"),
    ("interaction", "points.interaction:Interaction", "E W(x - x')/2, many kernels"),
    ("internal", "density.internal:Internal", "porous medium, Tsallis: E rho^(m-1)/(m-1)"),
    ("ksd", "points.ksd:KSD", "half squared kernel Stein discrepancy"),
    ("mmd", "samples.mmd:MMD", "half squared maximum mean discrepancy"),
    ("potential", "points.potential:Potential", "E V, of a target's potential"),
    ("renyi_divergence", "density.renyi:RenyiDivergence", "Renyi divergence to a target"),
    ("renyi_entropy", "density.renyi:RenyiEntropy", "minus the Renyi entropy"),
    ("sliced_wasserstein", "samples.sliced:SlicedWasserstein", "half squared sliced W2"),
    ("sum", "sum:SumOfParts", "weighted sum of objectives, for files"),
)


@wopt.hookimpl
def wopt_register(registry: Registry) -> None:
    """Name the components."""
    for name, path, summary in _OBJECTIVES:
        registry.add("objective", name, f"wopt_functionals.{path}", summary=summary)
