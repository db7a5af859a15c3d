"""The certificate as typed records: what ``certificate.json`` holds."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Any, Literal

from pydantic import Field
from torch import Tensor

from wopt.interfaces.objective import Objective
from wopt.particles import Particles
from wopt.statistics import mean_and_error
from wopt.typed import Number, Typed
from wopt_certify.bounds import Base, Entry, Label, StepBounds
from wopt_certify.effort import Effort
from wopt_certify.estimate import Estimate, MethodEstimate
from wopt_certify.gap import Gap
from wopt_certify.inverse import RoundTrip
from wopt_certify.lower import LowerSide
from wopt_certify.optimality import Optimality
from wopt_certify.resolution import Resolution
from wopt_certify.start import Smoothing, Start
from wopt_certify.total_mass import TotalMass
from wopt_certify.two_sample import ConditionalReport, TwoSampleReport

__all__ = [
    "Certificate",
    "Energy",
    "Final",
    "NamedBound",
    "Statement",
    "StepCertificate",
    "StepsWished",
]


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

    @classmethod
    def of(cls, objective: Objective, at: Particles, by_particle: Tensor | None) -> Energy:
        """Return the energy; without contributions by particle no error is known (0)."""
        values = None if by_particle is None else by_particle.double()
        error = 0.0 if values is None else mean_and_error(values, at.weights).error
        return cls(float(objective.energy(at)), error)


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
        movement: Root mean square of what the proximal step moves: y - a, or y - x with an
            explicit part.
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
    bounds: StepBounds
    seen: dict[str, Estimate] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class NamedBound(Typed):
    """A bound with its name.

    Attributes:
        value: The bound.
        label: How it is known.
        by: Which bound it is.
        needs: What it needs, besides its theorem's conditions.
    """

    value: float
    label: Label
    by: str
    needs: str = ""


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
    label: Label = Label.GIVEN_EPS


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
        text: The headline, with the distance ``w2`` and whether the model is a density.
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
    label: Label | None = None


@dataclasses.dataclass(frozen=True, repr=False)
class Certificate(Typed):
    """What was measured of a run, what follows, and how each figure is known.

    Attributes:
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
    def of(self) -> str:
        """What ``gap`` stands for in steps and bounds: ``KL(p_n | q)`` or ``G(p_n) - min G``."""
        return self.gap.of.along

    @property
    def kl(self) -> Gap | None:
        """The headline where the gap is a divergence, in nats."""
        return self.gap if self.gap.of.in_nats else None

    def changed(self, **changes: Any) -> Certificate:
        """Return the certificate with other fields, and its statement in words made anew."""
        made = dataclasses.replace(self, **changes)
        near = ""
        if made.statement.w2:
            near = f" Samples: that of a law within W2 <= {made.statement.w2:.4g} of the data."
        false = "" if made.mass is None or made.mass.is_one else f"{made.mass.text()} "
        statement = dataclasses.replace(made.statement, text=f"{false}{made.gap.text}{near}")
        return dataclasses.replace(made, statement=statement)

    def _repr_html_(self) -> str:
        """Return what a notebook shows: the headline, the steps, the notes."""
        from wopt_certify.show import html_of

        return html_of(self)

    def show(self, console: Any) -> None:
        """Print the certificate on a terminal."""
        from wopt_certify.terminal import show

        show(self, console)

    def to_dict(self) -> dict[str, Any]:
        """Return what ``certificate.json`` holds; ``kl`` is the headline once more."""
        kl = None if self.kl is None else self.kl.to_dict()
        return super().to_dict() | {"of": self.of, "kl": kl}

    @classmethod
    def _key(cls, name: str) -> str:
        return "lambda" if name == "convexity" else name

    def __repr__(self) -> str:
        return f"Certificate(of {len(self.steps)} step(s): {self.statement.text})"
