"""What is measured of a run that samples a target: both sides of log Z, and the weights."""

from __future__ import annotations

from typing import Any, ClassVar

from wopt.capabilities import Capability
from wopt.component import fields
from wopt.flow import free
from wopt.interfaces import Budget, FinishedRun, Measurement, is_truth
from wopt.seeds import derive
from wopt_posterior.diagnostics import BLIND, SamplerReport, measure_flow


@fields
class Sampler(Measurement):
    """The diagnostics of a start that is carried to a target known by its potential.

    Example:
        >>> Sampler().automatic
        True
    """

    cites: ClassVar[tuple[str, ...]] = ("vehtari2024", "zhang2009", "owen2013")
    document: ClassVar[type[SamplerReport]] = SamplerReport
    automatic: ClassVar[bool] = True

    def applies(self, run: FinishedRun) -> str | None:
        """Return why the model is not a sampler."""
        objective = run.prepared.objective
        target = objective.target
        if not run.prepared.pushes or target is None:
            return "the model is not a start that is carried to a target"
        if Capability.POTENTIAL not in target.provides or not is_truth(objective):
            return "the target is not known by its potential, or is not the minimiser"
        return None

    def measure(
        self, run: FinishedRun, budget: Budget | None = None, recorded: Any = None
    ) -> SamplerReport:
        """Return the report, and warn where the draws are not to be relied on."""
        config = run.prepared.config
        asked = config.certify
        report = measure_flow(
            free(run.flow),
            run.prepared.objective.target,
            getattr(asked, "draws", 10_000),
            derive(config.seed, "sampler"),
            reference=run.prepared.reference,
            budget=budget,
            steps=getattr(asked, "rejection", 0),
            rate=getattr(asked, "rejection_rate", 0.2),
        )
        run.listener.phase(report.text())
        if not report.reliable:
            run.listener.warn(BLIND)
        return report
