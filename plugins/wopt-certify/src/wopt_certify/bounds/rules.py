"""One bound at one step: how it is known, what it needs, and what contradicts it."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Callable, Mapping
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import AliasChoices, BeforeValidator, Field

from wopt.typed import Typed
from wopt_certify.bounds.inequalities import (
    Array,
    Bound,
    a_posteriori,
    log_sobolev,
    start_distance,
)
from wopt_certify.bounds.steps import (
    a_priori,
    convex_last,
    forward_backward,
    paper_distance,
    paper_gap,
    theorem_p,
    theorem_s,
    theorem_s_gap,
)


class Label(enum.StrEnum):
    """The status of a bound."""

    EXACT = "exact"
    """The bound needs no residual, or all residuals are zero."""
    GIVEN_EPS = "bound given eps"
    """The bound is a theorem, given the residuals."""
    GIVEN_SEEN = "bound given the eps seen"
    """The bound is a theorem, given residuals that are lower bounds by test fields."""
    ESTIMATE = "estimate"
    """An input of the bound was measured on samples."""


@dataclasses.dataclass(frozen=True)
class Floor(Typed):
    """A known lower limit of a quantity, which refutes upper bounds below it.

    Attributes:
        value: The limit, at the stated level.
        step: The earlier step whose gap it limits, where a refutation there is carried on.
    """

    value: float
    by: str
    step: int | None = None

    def refutes(self, bound: Entry) -> bool:
        """Return whether the limit contradicts an upper bound."""
        return bound.value is not None and bound.value < self.value

    def __str__(self) -> str:
        at = "" if self.step is None else f"at step {self.step}, "
        return f"{at}{self.by}: at least {self.value:.4g}"


_KEYS = AliasChoices("refuted_by", "refuted")


def _of_file(value: Any) -> Any:
    """Return the value in a file; earlier versions hold a text, empty if nothing is refuted."""
    return value or None


@dataclasses.dataclass(frozen=True)
class Entry(Typed):
    """One bound at one step.

    Attributes:
        value: The bound; ``None`` if it is not available.
        label: The status of the bound; ``None`` without a value.
        reason: Why there is no value, in one line; empty with one.
        refuted: The limit that contradicts it, or ``None``; in the file ``refuted_by``, and in
            words ``refuted``.
    """

    in_file: ClassVar = {"refuted": "refuted_by"}
    value: float | None
    label: Label | None = None
    reason: str = ""
    refuted: Annotated[Floor | None, Field(validation_alias=_KEYS), BeforeValidator(_of_file)] = (
        None
    )

    def to_dict(self) -> dict[str, Any]:
        """Return the entry of the file."""
        return super().to_dict() | {"refuted": str(self.refuted or "")}


def least(table: Mapping[str, Entry]) -> tuple[str, float] | None:
    """Return the smallest bound that nothing refutes, as its name and its value.

    Example:
        >>> least({"a": Entry(2.0), "b": Entry(3.0), "c": Entry(1.0, refuted=Floor(1.5, "a fact"))})
        ('a', 2.0)
        >>> least({}) is None
        True
    """
    standing = [(n, e.value) for n, e in table.items() if e.value is not None and not e.refuted]
    return min(standing, key=lambda pair: pair[1], default=None)


Base = Literal["previous", "forward", "other", "none"]


@dataclasses.dataclass(frozen=True)
class Inputs:
    """The known quantities of a run; arrays have one number per step, NaN where it is unknown.

    Attributes:
        h, errors, moved, fisher: As in ``chain``, shape ``(steps,)``.
        second_moments: E|X|^2 under p_0, ..., p_N, shape ``(steps + 1,)``.
        w0, kl0, target_second_moment, smoothness: As in ``chain``, NaN where unknown.
        base: The starting point of the proximal steps.
    """

    h: Array
    errors: Array
    moved: Array
    fisher: Array
    second_moments: Array
    w0: Array
    kl0: Array
    target_second_moment: Array
    lam: float
    smoothness: Array
    base: Base


@dataclasses.dataclass(frozen=True)
class Rule:
    """One bound: what it is called, what it is computed from, and when it holds.

    Attributes:
        cites: Keys of references; those without one follow the paper's (docs/theory 1).
        uses: The attributes of :class:`Inputs` that it is computed from.
        gap, w2: Functions that return the bound of the gap, or of the distance, after each step.
        blocked: Function that returns why the bound does not hold for the run, or an empty string.
        local: Whether it uses its own step alone, not those before: refuted at one step, it may
            hold at another.
    """

    name: str
    title: str
    hypotheses: str
    cites: tuple[str, ...] = ()
    uses: tuple[str, ...] = ()
    gap: Callable[[Inputs], Array] | None = None
    w2: Callable[[Inputs], Array] | None = None
    blocked: Callable[[Inputs], str] = lambda _: ""
    local: bool = False

    @property
    def along(self) -> bool:
        """Whether the bound follows the run from the law before each step, by the optimal maps.

        The others hold whatever the map (docs/theory 1.6, 4.2), but forward-backward: it needs the
        optimal map from the end of the explicit step, which DT does not show.
        """
        return self.blocked in (_chains, _convex)


def _chains(run: Inputs) -> str:
    if run.base == "previous":
        return ""
    return f'the steps do not chain: their base is "{run.base}", not the law before'


def _convex(run: Inputs) -> str:
    return _chains(run) or ("" if run.lam >= 0 else f"needs lambda >= 0, got {run.lam}")


def _splits(run: Inputs) -> str:
    return "" if run.base == "forward" else "the steps have no explicit part"


def _proximal(run: Inputs) -> str:
    """Return why Theorem Q does not hold; empty if it does."""
    # After a forward step the gradient at y is xi + (x - y)/h - (grad f(x) - grad f(y)), and
    # |u - h (grad f(x) - grad f(y))| <= |u| with u = x - y, for convex f and h <= 2/L.
    if run.base == "none":
        return "the steps have no proximal part"
    if run.base != "forward":
        return ""
    if run.lam < 0:
        return f"the explicit part is not convex: lambda = {run.lam}"
    if np.isnan(run.smoothness):
        return "smoothness is not known"
    return "needs h <= 2/L for the explicit part" if np.any(run.h * run.smoothness > 2) else ""


def _last(r: Inputs) -> Bound[Array]:
    return a_posteriori(r.moved, r.h, r.errors, r.lam)


def _both(r: Inputs) -> Bound[Array]:
    return forward_backward(r.w0, r.h, r.errors, r.lam, r.smoothness)


def _coupled(r: Inputs) -> Array:
    target = float(r.target_second_moment)
    return np.array([start_distance(m, target) for m in r.second_moments[1:]])


_START = ("w0", "errors")
_ALONG = "optimal maps, the true eps of all steps"
_FROM_W2 = f"lambda, {_ALONG}, W2 at the start"
RULES = (
    Rule(
        "theorem_s", "Theorem S, S'", _FROM_W2, ("cheng2024",), _START,
        lambda r: theorem_s_gap(r.w0, r.h, r.errors, r.lam),
        lambda r: theorem_s(r.w0, r.h, r.errors, r.lam), _chains,
    ),
    Rule(
        "theorem_p", "Theorem P", f"lambda, {_ALONG}, KL at the start", ("cheng2024", "zhu2025"),
        ("kl0", "errors"), lambda r: theorem_p(r.kl0, r.h, r.errors, r.lam), None, _chains,
    ),
    Rule(
        "a_priori", "a priori (S', P)", _FROM_W2, ("cheng2024",), _START,
        lambda r: a_priori(r.w0, r.h, r.errors, r.lam), None, _chains,
    ),
    Rule(
        "theorem_q", "Theorem Q", "lambda, the true eps of the last step",
        ("bakry1985", "otto2000"), ("moved", "errors"), lambda r: _last(r).kl,
        lambda r: _last(r).w2, _proximal, local=True,
    ),
    Rule(
        "log_sobolev", "log-Sobolev", "lambda, the gradient's true norm", ("bakry1985",),
        ("fisher",), lambda r: log_sobolev(r.fisher, r.lam), local=True,
    ),
    Rule(
        "convex", "lambda = 0", f"convexity, {_ALONG}, W2 at the start", ("cheng2024",), _START,
        lambda r: convex_last(r.w0, r.h, r.errors), None, _convex,
    ),
    Rule(
        "paper", "the paper's (1.5)-(1.7)", _FROM_W2, ("cheng2024",), _START,
        lambda r: paper_gap(r.w0, r.h, r.errors, r.lam),
        lambda r: paper_distance(r.w0, r.h, r.errors, r.lam), _chains,
    ),
    Rule(
        "forward_backward", "forward-backward", "lambda and L of the explicit part, true eps",
        ("salim2020",), (*_START, "smoothness"), lambda r: _both(r).kl, lambda r: _both(r).w2,
        _splits,
    ),
    Rule(
        "moments", "moments", "second moments", (), ("second_moments", "target_second_moment"),
        None, _coupled, local=True,
    ),
    # Of the smallest bound of the gap: computed last, and again where facts refute that.
    Rule("transport_entropy", "from KL (T2)", "lambda, the best bound of KL", local=True),
)  # fmt: skip
"""Every bound, in the order of reports: the only table of them."""
