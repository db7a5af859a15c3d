"""The certificate as typed records: what ``certificate.json`` holds."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field

from wopt.certify.bounds import Base, Entry
from wopt.certify.effort import Effort
from wopt.certify.estimate import Estimate
from wopt.certify.gap import Gap, NamedBound, Resolution
from wopt.certify.inverse import RoundTrip
from wopt.certify.lower import LowerSide
from wopt.certify.start import Smoothing, Start
from wopt.certify.total_mass import TotalMass
from wopt.certify.two_sample import ConditionalReport, TwoSampleReport
from wopt.typed import Number, Typed

__all__ = [
    "Bounds",
    "Certificate",
    "Energy",
    "Final",
    "MethodEstimate",
    "Optimality",
    "Plan",
    "Statement",
    "StepCertificate",
    "StepsWished",
    "Symmetry",
]


@dataclasses.dataclass(frozen=True)
class MethodEstimate(Estimate):
    """An estimate with the method that gave it.

    Attributes:
        by: The method.
    """

    by: str = ""

    @classmethod
    def by_method(cls, method: str, estimate: Estimate) -> MethodEstimate:
        """Return the estimate with its method."""
        return cls(**(dataclasses.asdict(estimate) | {"by": method}))


@dataclasses.dataclass(frozen=True)
class Energy(Typed):
    """The objective at the particles.

    Attributes:
        value, error: With its standard error.
        label: What it is.
    """

    value: Number
    error: Number
    label: Literal["estimate"] = "estimate"


@dataclasses.dataclass(frozen=True)
class Plan(Typed):
    """An exact plan between samples.

    Attributes:
        size: Rows of each.
        gap: E|x - Tx|^2 less the plan's cost.
        w2_squared_independent, w2_squared_noise: The cost between independent samples, and of
            samples of one law.
        label: What it is.
    """

    size: int
    gap: Number
    w2_squared_independent: Number
    w2_squared_noise: Number
    label: Literal["estimate"] = "estimate"


@dataclasses.dataclass(frozen=True)
class Symmetry(Typed):
    """How far DT is from that of an optimal map.

    Attributes:
        relative: The antisymmetric share of DT - I.
        least_eigenvalue: Of sym(DT), at the points.
        points: How many there were.
        label: What it is.
    """

    relative: Number
    least_eigenvalue: Number
    points: int
    label: Literal["estimate"] = "estimate"


@dataclasses.dataclass(frozen=True)
class Residual(Typed):
    """A first-order error that allows for the map not being optimal."""

    value: Number
    label: Literal["estimate"] = "estimate"


@dataclasses.dataclass(frozen=True)
class Optimality(Typed):
    """Whether a block is the optimal map.

    Attributes:
        cost: E|x - Tx|^2.
        dual, high: By the best quadratic potential: a bound of W_2^2 and of the gap.
        plans: Exact plans between samples.
        reason: What was left out, and why.
        symmetry: Of DT.
        residual_low, residual_high: The first-order error that allows for the gap.
    """

    cost: Estimate
    dual: Estimate
    high: Estimate
    plans: tuple[Plan, ...] = ()
    reason: str = ""
    symmetry: Symmetry | None = None
    residual_low: Residual | None = None
    residual_high: Residual | None = None


@dataclasses.dataclass(frozen=True)
class Bounds(Typed):
    """Every bound after a step, by name.

    Attributes:
        gap: Of the certificate's ``of``.
        w2: Of W_2(p_n, q).
    """

    gap: dict[str, Entry] = dataclasses.field(default_factory=dict)
    w2: dict[str, Entry] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class StepCertificate(Typed):
    """What is certified of one step.

    Attributes:
        step: 1, 2, ...
        step_size: h.
        effective_step_size: h' of its subproblem.
        gap: The certificate's ``of`` itself, where it is known.
        energy: The objective.
        residual: The best estimate of the first-order error.
        residuals: By every method.
        movement: Root mean square of what the step moves.
        gradient: The norm of the Wasserstein gradient after it.
        inversion_error: Root mean square of T^-1(T(x)) - x.
        transport: Whether the block is the optimal map; ``None`` where that was not measured.
        not_optimal: Why the map is not optimal; empty where nothing speaks against it.
        bounds: What follows.
        seen: What each test field saw of ``gradient``, and all ``together``; empty where none was
            needed.
    """

    step: int
    step_size: float
    effective_step_size: float
    gap: Estimate | None
    energy: Energy
    residual: MethodEstimate | None
    residuals: dict[str, Estimate]
    movement: Estimate
    gradient: MethodEstimate
    inversion_error: Number | None
    transport: Optimality | None
    not_optimal: str
    bounds: Bounds
    seen: dict[str, Estimate] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class StepsWished(Typed):
    """How many steps a wished gap asks for.

    Attributes:
        wish: The gap.
        steps: The number; ``None`` if no number does.
        residual_needed: The first-order error with which any number does.
        text: In words.
        label: How it is known.
    """

    wish: float
    steps: int | None
    residual_needed: float | None
    text: str
    label: str = "bound given eps"


@dataclasses.dataclass(frozen=True)
class Final(Typed):
    """The best bounds after the last step that nothing refutes.

    Attributes:
        gap: Of the certificate's ``of``.
        w2: Of W_2(p_N, q).
        tv: Of the total variation, where the gap is a divergence.
        floor: eps^2 / (2 lambda), below which no bound falls.
        steps_needed: For the wish.
    """

    gap: NamedBound | None = None
    w2: NamedBound | None = None
    tv: Entry | None = None
    floor: float | None = None
    steps_needed: StepsWished | None = None


@dataclasses.dataclass(frozen=True)
class Statement(Typed):
    """What is said of the model that is sampled.

    Attributes:
        text: The headline.
        kl: The divergence is at most this, if what the headline says holds.
        w2: Of a law within this distance of the data, in their units.
        tv: A bound of the total variation that follows from ``kl``.
        conditional: Whether the bound rests on test fields having seen all errors.
        label: How the bound is known.
    """

    text: str
    kl: float | None = None
    w2: Number | None = None
    tv: float | None = None
    conditional: bool = False
    label: str | None = None


@dataclasses.dataclass(frozen=True, repr=False)
class Certificate(Typed):
    """What was measured of a run, what follows, and how each figure is known.

    Attributes:
        of: What ``gap`` stands for in steps and bounds: ``KL(p_n | q)`` or ``G(p_n) - min G``.
        gap: The headline: lower side, estimate, upper side.
        resolution: Both sides at resolutions.
        particles: How many there were.
        origin: Where they come from.
        level: Confidence of the intervals.
        convexity: lambda, in the file ``lambda``.
        smoothness: L of the explicit part.
        base: Where the proximal steps begin.
        effort: What it was measured with.
        start: Bounds before the first step.
        steps: One each.
        final: The best after the last.
        round_trip: Errors of the inverse.
        smoothing: What smoothing costs.
        statement: Of the model that is sampled.
        notes: What the figures need.
        challengers: The lower side with the ladder that found it; ``None`` where none was run.
        two_sample: Held-out rows against samples; ``None`` where they were not compared.
        conditional: Calibration of a conditional model.
        mass: The integral of the model's density; ``None`` where it was not estimated.
    """

    of: str
    gap: Gap
    resolution: tuple[Resolution, ...]
    particles: int
    origin: str
    level: float
    convexity: Annotated[float | None, Field(validation_alias="lambda")]
    smoothness: float | None
    base: Base
    effort: Effort
    start: Start
    steps: tuple[StepCertificate, ...]
    final: Final
    round_trip: RoundTrip | None
    smoothing: Smoothing | None
    statement: Statement
    notes: tuple[str, ...]
    challengers: LowerSide | None = None
    two_sample: TwoSampleReport | None = None
    conditional: ConditionalReport | None = None
    mass: TotalMass | None = None

    @property
    def kl(self) -> Gap | None:
        """The headline where the gap is a divergence, in nats."""
        return self.gap if self.gap.in_nats else None

    def _repr_html_(self) -> str:
        """Return what a notebook shows: the headline, the steps, the notes."""
        from wopt.certify.show import html_of

        return html_of(self)

    def to_dict(self) -> dict[str, Any]:
        """Return what ``certificate.json`` holds; ``kl`` is the headline once more."""
        return super().to_dict() | {"kl": None if self.kl is None else self.kl.to_dict()}

    @classmethod
    def _key(cls, name: str) -> str:
        return "lambda" if name == "convexity" else name

    def __repr__(self) -> str:
        return f"Certificate(of {len(self.steps)} step(s): {self.statement.text})"


def entries(table: Mapping[str, Entry]) -> dict[str, Entry]:
    """Return entries as a certificate shows them: measured errors make no bound exact."""
    return {
        name: dataclasses.replace(e, label="bound given eps") if e.label == "exact" else e
        for name, e in table.items()
    }
