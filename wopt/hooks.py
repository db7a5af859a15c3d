"""Components and commands of the core, registered as those of a plugin, without heavy imports."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wopt.plugin import hookimpl

if TYPE_CHECKING:
    from wopt.registry import Registry

READING = {
    "run": "train a flow from a configuration file",
    "plan": "show what would be chosen for data, and why",
    "resume": "go on with an interrupted run",
    "sample": "draw samples with their log-density",
    "score": "log-likelihoods of data under a run's model",
    "validate": "check a configuration without running it",
    "doctor": "say what is wrong with an installation, or with a run and how to rescue it",
}
"""Commands that read configurations or run directories."""

OTHERS = {
    "plugins": "list plugins and what they bring",
}

SOLVERS = {
    "adam": ("Adam", "Adam on mini-batches"),
    "muon": ("Muon", "Muon for matrices, Adam for the rest, on mini-batches"),
    "lbfgs": ("LBFGS", "L-BFGS on all particles"),
    "by_step": ("BySteps", "a solver for each step"),
}

CANDIDATES = {
    "table": ("TableOnCurves", "splines after affine maps on curves of columns"),
    "table_whitened": ("TableWhitened", "the same on whitened columns"),
    "wide": ("Wide", "affine maps, then splines, for many columns"),
    "plane": ("Plane", "splines of many bins for two columns"),
    "few_rows": ("FewRows", "small nets"),
    "few_rows_whitened": ("FewRowsWhitened", "small nets, on whitened columns"),
    "mixture": ("Gaussians", "a mixture of Gaussians"),
    "gaussian": ("OneGaussian", "a Gaussian for hardly any rows"),
}


@hookimpl
def wopt_register(registry: Registry) -> None:
    """Register the components and the commands."""
    for name, summary in (READING | OTHERS).items():
        registry.add_command(
            name, f"wopt.cli.{name}:{name}_command", summary=summary, reads=name in READING
        )
    for name, (cls, summary) in SOLVERS.items():
        registry.add("solver", name, f"wopt.train.solvers:{cls}", summary=summary)
    for name, (cls, summary) in CANDIDATES.items():
        registry.add("candidate", name, f"wopt.plan.candidates:{cls}", summary=summary)
