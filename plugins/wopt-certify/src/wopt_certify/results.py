"""The certificate as typed records: what ``certificate.json`` holds, and how it is shown."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from wopt.typed import Number, Typed
from wopt_certify.bounds import Base, Entry, Label, StepBounds
from wopt_certify.effort import Effort
from wopt_certify.estimate import Estimate, MethodEstimate
from wopt_certify.gap import Gap, LowerSide
from wopt_certify.mass import TotalMass
from wopt_certify.replay import RoundTrip
from wopt_certify.start import Smoothing, Start
from wopt_certify.transport import Optimality
from wopt_certify.two_sample import ConditionalReport, TwoSampleReport


@dataclasses.dataclass(frozen=True)
class Energy(Typed):
    """The objective at the particles, and its standard error, 0 if it is no mean over them."""

    value: Number
    error: Number
    label: Literal["estimate"] = "estimate"


@dataclasses.dataclass(frozen=True)
class StepCertificate(Typed):
    """The certificate of one step.

    Attributes:
        step: The number of the step: 1, 2, ...
        gap: The gap after the step, where it is known.
        residual: The best estimate of the first-order error.
        residuals: The first-order error by every method.
        movement: Root mean square of the proximal step's displacement: y - a, or y - x with an
            explicit part.
        gradient: The norm of the Wasserstein gradient after it.
        inversion_error: Root mean square of T^-1(T(x)) - x.
        transport: The block's distance from the optimal map; ``None`` if it was not measured.
        not_optimal: Why the map is not optimal; empty without evidence against it.
        seen: The part of ``gradient`` that each test field sees, and all ``together``; empty where
            no field was needed.
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
class Resolution(Typed):
    """KL of the two laws blurred by N(0, sigma^2 I), in the target's coordinates.

    Attributes:
        sigma: Standard deviation of the blur, in the target's units.
        kl_low, kl_high: One-sided confidence limits, in nats.
    """

    sigma: float
    kl_low: Number
    kl_high: Number


@dataclasses.dataclass(frozen=True)
class NamedBound(Typed):
    """A bound with its name.

    Attributes:
        label: The status of the bound: exact, or given some eps.
        needs: Its assumptions, besides its theorem's conditions.
    """

    value: float
    label: Label
    by: str
    needs: str = ""


@dataclasses.dataclass(frozen=True)
class StepsWished(Typed):
    """The number of steps that a wished gap needs.

    Attributes:
        steps: The number; ``None`` if no number suffices.
        residual_needed: The first-order error below which some number suffices.
    """

    in_file: ClassVar = {"target_kl": "wish"}
    target_kl: Annotated[float, Field(validation_alias="wish")]
    steps: int | None
    residual_needed: float | None
    text: str
    label: Label = Label.GIVEN_EPS


@dataclasses.dataclass(frozen=True)
class Final(Typed):
    """The best bounds after the last step that nothing refutes.

    Attributes:
        gap: Bound of the certificate's ``of``.
        w2: Bound of W_2(p_N, q).
        tv: Bound of the total variation, where the gap is a divergence.
        floor: eps^2 / (2 lambda), below which no bound falls.
        steps_needed: The number of steps for the wished gap.
    """

    gap: NamedBound | None = None
    w2: NamedBound | None = None
    tv: Entry | None = None
    floor: float | None = None
    steps_needed: StepsWished | None = None


@dataclasses.dataclass(frozen=True)
class Statement(Typed):
    """The statement about the model that is sampled.

    Attributes:
        text: The headline, with the distance ``w2`` and whether the model is a density.
        kl: Upper bound of the divergence in nats, where the headline has one.
        w2: Distance from the data, in their units, of the law to which the bounds apply.
        tv: A bound of the total variation that follows from ``kl``.
    """

    text: str
    kl: float | None = None
    w2: Number | None = None
    tv: float | None = None


@dataclasses.dataclass(frozen=True, repr=False)
class Certificate(Typed):
    """The measurements of a run, the bounds that follow, and the status of each figure.

    Attributes:
        gap: The headline: lower side, estimate, upper side.
        origin: The source of the particles, in words.
        convexity: lambda, in the file ``lambda``.
        base: The starting point of the proximal steps.
        effort: The amount of work of the measurement.
        start: Bounds before the first step.
        final: The best bounds after the last step.
        smoothing: The cost of smoothing the data.
        statement: The statement about the model that is sampled.
        challengers: The lower side with the ladder that found it; ``None`` if none was run.
        two_sample: Held-out rows against samples; ``None`` if they were not compared.
        mass: The integral of the model's density; ``None`` if it was not estimated.
    """

    in_file: ClassVar = {"convexity": "lambda"}
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
        """The notation of ``gap`` in steps and bounds: ``KL(p_n | q)`` or ``G(p_n) - min G``."""
        return self.gap.of.along

    @property
    def kl(self) -> Gap | None:
        """The headline where the gap is a divergence, in nats."""
        return self.gap if self.gap.of.in_nats else None

    def changed(self, **changes: Any) -> Certificate:
        """Return the certificate with some fields replaced, and its statement rebuilt."""
        made = dataclasses.replace(self, **changes)
        near = ""
        if made.statement.w2:
            near = f" Samples: that of a law within W2 <= {made.statement.w2:.4g} of the data."
        false = "" if made.mass is None or made.mass.is_one else f"{made.mass.text()} "
        statement = dataclasses.replace(made.statement, text=f"{false}{made.gap.text}{near}")
        return dataclasses.replace(made, statement=statement)

    def _repr_html_(self) -> str:
        from wopt_certify.shown import html

        return html(self)

    def show(self, console: Any) -> None:
        """Print the certificate on a terminal."""
        from wopt_certify.shown import show

        show(self, console)

    def to_dict(self) -> dict[str, Any]:
        """Return the content of ``certificate.json``; ``kl`` repeats the headline."""
        kl = None if self.kl is None else self.kl.to_dict()
        return super().to_dict() | {"of": self.of, "kl": kl}

    def __repr__(self) -> str:
        return f"Certificate(of {len(self.steps)} step(s): {self.statement.text})"
