"""What is found of a run: what follows from its measured steps, and what facts refute."""

from __future__ import annotations

import dataclasses
import functools
import statistics
from collections.abc import Mapping, Sequence

from torch import Tensor

from wopt.interfaces import Objective
from wopt.statistics import mean_and_error
from wopt.store import GapKind
from wopt_certify.bounds import (
    RULES,
    Base,
    Entry,
    Floor,
    Label,
    StepBounds,
    chain,
    with_transport_entropy,
)
from wopt_certify.estimate import Estimate
from wopt_certify.gap import LowerSide, floors_of
from wopt_certify.measure import StepMeasure, second_moment
from wopt_certify.replay import EvaluationData
from wopt_certify.results import StepCertificate
from wopt_certify.start import Start, start_of_run

LOCAL = {rule.name for rule in RULES if rule.local}
"""Bounds that use one step alone: refuted at one, they may hold at another."""


def later_fall(now: Tensor | None, end: Tensor | None, level: float) -> Floor | None:
    """Return a lower limit of the fall  G(p_n) - G(p_N) <= G(p_n) - min G  after a step.

    Contributions of the same particles to the energy have shape ``(m,)``, after it and at the end.
    """
    if now is None or end is None:
        return None
    fall, error = mean_and_error((now - end).double())
    low = fall - statistics.NormalDist().inv_cdf(level) * error
    return Floor(low, "the run's own later fall of the energy") if low > 0 else None


def refute(
    bounds: Sequence[StepBounds], floors: Sequence[Sequence[Floor | None]], pl: float
) -> list[StepBounds]:
    """Return the bounds with the refuted ones marked.

    A bound along the run that is refuted after one step stays so after all later ones, which use
    the same errors; the bound of the distance by the same name is refuted with it.
    """
    judged, earlier = list[StepBounds](), dict[str, Floor]()
    for step, (row, known) in enumerate(zip(bounds, floors, strict=True), 1):
        order = sorted((f for f in known if f), key=lambda f: -f.value)
        reported = {name: why for name, why in earlier.items() if row.gap[name].value is not None}
        for name, entry in row.gap.items():
            why = next((floor for floor in order if floor.refutes(entry)), None)
            if why is not None and name not in reported:
                reported[name] = why
                if name not in LOCAL:
                    earlier[name] = dataclasses.replace(why, step=step)
        judged.append(with_transport_entropy(row.changed(functools.partial(_marked, reported)), pl))
    return judged


def _marked(reported: Mapping[str, Floor], name: str, entry: Entry) -> Entry:
    refuted = name in reported and entry.value is not None
    return dataclasses.replace(entry, refuted=reported[name]) if refuted else entry


@dataclasses.dataclass(frozen=True)
class Analysis:
    """What follows from the measurements of a run's steps: from it a certificate is written.

    Attributes:
        evidence: The particles of the measurements.
        challenged: The challengers' side, if challengers were run.
    """

    objective: Objective
    evidence: EvaluationData
    level: float
    measures: Sequence[StepMeasure]
    challenged: LowerSide | None

    @property
    def steps(self) -> tuple[StepCertificate, ...]:
        """The certificate's entry for each step."""
        reported = zip(self.measures, self.gaps, self.bounds, strict=True)
        return tuple(dataclasses.replace(m.step, gap=gap, bounds=b) for m, gap, b in reported)

    @property
    def of(self) -> GapKind:
        """The kind of the gap."""
        return self.evidence.of if self.objective.gap_is_kl else GapKind.ENERGY

    @property
    def lower(self) -> LowerSide | None:
        """The challengers' side of the gap; ``None`` where it is not a divergence."""
        return self.challenged if self.objective.gap_is_kl else None

    @functools.cached_property
    def gaps(self) -> list[Estimate | None]:
        """The gap after each step, where it is known."""
        if self.objective.gap_is_kl or self.objective.minimum is None:
            return [m.divergence for m in self.measures]
        least, energies = self.objective.minimum, [m.step.energy for m in self.measures]
        return [Estimate.of(one.value - least, one.error, self.level) for one in energies]

    @property
    def false(self) -> bool:
        """Whether a density or a minimum that the run declares is false."""
        return any(gap is not None and gap.impossible for gap in self.gaps)

    @functools.cached_property
    def start(self) -> Start:
        """Bounds before the first step."""
        start = start_of_run(self.objective, self.evidence)
        # Its estimate uses the same false density.
        return dataclasses.replace(start, kl=None) if self.false else start

    @property
    def base(self) -> Base:
        """The base that all steps share; steps of different kinds do not chain."""
        kinds = {m.base for m in self.measures}
        if len(kinds) == 1:
            return kinds.pop()
        return "none" if "none" in kinds or "forward" in kinds else "other"

    @functools.cached_property
    def constants(self) -> tuple[float | None, float | None]:
        """lambda of the objective, or lambda and L of its explicit part if there is one."""
        objective = self.objective
        if self.false and not objective.gap_is_kl:  # a false minimum casts doubt on lambda
            return None, None
        explicit, rest = objective.split() if self.base == "forward" else (None, None)
        if explicit is None or rest is None or rest.convexity is None or rest.convexity < 0:
            return objective.convexity, None
        return explicit.convexity, None if explicit.target is None else explicit.target.smoothness

    @functools.cached_property
    def bounds(self) -> list[StepBounds]:
        """Bounds after each step, marked where a later fall or a lower side contradicts."""
        # The bounds use the upper ends of the intervals.
        measures, steps = self.measures, [m.step for m in self.measures]
        convexity, smoothness = self.constants
        if convexity is None:
            return [StepBounds() for _ in steps]
        second = second_moment(self.evidence.particles)
        rows = chain(
            [s.effective_step_size for s in steps],
            [m.step.residual.high if m.step.residual and m.examined else None for m in measures],
            convexity,
            moved=[s.movement.high for s in steps],
            w0=self.start.w2,
            kl0=self.start.kl,
            second_moments=[second, *(m.second_moment for m in measures)],
            target_second_moment=self.start.second_moment,
            fisher=[m.step.gradient.high**2 if m.examined else None for m in measures],
            base=self.base,
            smoothness=smoothness,
            not_optimal=[s.not_optimal for s in steps],
            seen={m.step.step for m in measures if m.by_fields},
        )
        end = measures[-1].contributions
        floors = [
            [later_fall(m.contributions, end, self.level), *floors_of(None, gap, self.of)]
            for m, gap in zip(measures, self.gaps, strict=True)
        ]
        floors[-1] = [*floors_of(self.lower, self.gaps[-1], self.of)]
        return refute([row.changed(_by_measured) for row in rows], floors, convexity)


def _by_measured(_: str, entry: Entry) -> Entry:
    """Return the entry with the label of measured errors, which make no bound exact."""
    exact = entry.label is Label.EXACT
    return dataclasses.replace(entry, label=Label.GIVEN_EPS) if exact else entry
