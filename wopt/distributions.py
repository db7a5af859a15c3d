"""The plugins of this project and their components, to name a missing package."""

from __future__ import annotations

import importlib.metadata
import os

CORE = "wopt-core"

SHIPPED = {
    "wopt-anndata": {"source": "anndata"},
    "wopt-blocks": {
        "block": "affine autoregressive fitted_mixture icnn mixture particles residual stack"
    },
    "wopt-certify": {
        "measurement": "certificate dual first_order lower_side mass resolution two_sample",
        "command": "certify compare",
    },
    "wopt-evolution": {
        "measurement": "evolution populations",
        "function": "times",
        "table": "exact snapshots",
    },
    "wopt-functionals": {
        "objective": "chi2 dual_f_divergence energy_distance entropy f_divergence "
        "fisher_information forward_kl interaction internal ksd mmd potential renyi_divergence "
        "renyi_entropy sliced_wasserstein sum"
    },
    "wopt-geomloss": {
        "objective": "barycenter learnt_potential sinkhorn wasserstein",
        "scheme": "entropic_jko",
        "source": "snapshots",
        "step_size": "arrival",
    },
    "wopt-jko": {
        "objective": "kl",
        "scheme": "jko",
        "block": "ode",
        "step_size": "constant geometric sequence",
    },
    "wopt-measures": {
        "command": "data",
        "exact": "barenblatt equilibrium ornstein_uhlenbeck second_moment",
        "target": "barenblatt circle funnel gaussian logistic many_wells mixture "
        "mustache posteriordb potential python random_gaussian random_mixture samples tempered",
        "source": "array density gaussian idx mixture patches picture rejection sklearn toy",
    },
    "wopt-mlflow": {"tracker": "mlflow"},
    "wopt-options": {"command": "init schema show"},
    "wopt-posterior": {
        "solver": "chains gaussian variance",
        "measurement": "sampler",
        "function": "chains weights",
        "name": "Posterior sample",
    },
    "wopt-report": {"command": "cite report", "function": "report"},
    "wopt-schemes": {
        "scheme": "accelerated bdf2 crank_nicolson explicit explicit_midpoint "
        "extragradient forward_backward kl_proximal local_flow_matching midpoint replace sdirk2 "
        "semi_forward_backward sliced_jko",
        "step_size": "arc_length backtracking",
    },
    "wopt-sklearn": {"name": "FlowClassifier FlowDensity FlowRegressor"},
    "wopt-sweep": {"command": "sweep"},
    "wopt-tensorboard": {"tracker": "tensorboard"},
    "wopt-testing": {"command": "check new-plugin", "function": "testing"},
    "wopt-zuko": {"block": "coupling maf naf spline zuko", "function": "zuko"},
}
"""Names of components, by kind, by package."""


def installed(distribution: str) -> bool:
    """Whether a package is installed."""
    try:
        importlib.metadata.distribution(distribution)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def how_to_get(kind: str, name: str) -> str | None:
    """Return how to get a component that is not registered; ``None`` if no package provides it."""
    for package, brings in SHIPPED.items():
        if name not in brings.get(kind, "").split():
            continue
        if not installed(package):
            return (
                f'it comes with {package}: pip install {package}, or "{CORE}[all]" for every plugin'
            )
        if os.environ.get("WOPT_PLUGINS") is not None:
            return f"it comes with {package}, which is installed and left out by WOPT_PLUGINS"
        return f"it comes with {package}, which is installed and did not load: see `wopt doctor`"
    return None


def foreign() -> str | None:
    """Return a warning if a package called ``wopt`` is installed, else ``None``.

    That name on the public index belongs to another project, whose files replace ours.
    """
    try:
        other = importlib.metadata.distribution("wopt")
    except importlib.metadata.PackageNotFoundError:
        return None
    return (
        f"the package 'wopt' {other.version} is installed, which is another project of that name "
        f"and takes the place of `import wopt`; this one is called {CORE}: "
        f"pip uninstall -y wopt && pip install --force-reinstall --no-deps {CORE}"
    )
