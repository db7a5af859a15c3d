"""All bounds side by side, along the steps of a run."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import math
from collections.abc import Callable, Collection, Sequence

import numpy as np

from wopt.errors import UserError
from wopt.typed import Typed
from wopt_certify.bounds.inequalities import Array, steps_of, transport_entropy, tv
from wopt_certify.bounds.rules import RULES, Base, Entry, Inputs, Label, Rule, least

PerStep = Sequence[float | None] | Array
"""One number per step, ``None`` or NaN where it is not known."""


@dataclasses.dataclass(frozen=True)
class StepBounds(Typed):
    """Every bound after one step, by name.

    Attributes:
        gap: Bounds of G(p_n) - G(q), which is KL(p_n|q) for KL.
        w2: Bounds of W_2(p_n, q).
    """

    gap: dict[str, Entry] = dataclasses.field(default_factory=dict)
    w2: dict[str, Entry] = dataclasses.field(default_factory=dict)

    def changed(self, change: Callable[[str, Entry], Entry]) -> StepBounds:
        """Return the bounds with every entry changed by a function of its name and itself."""
        gap, w2 = ({k: change(k, e) for k, e in by.items()} for by in (self.gap, self.w2))
        return StepBounds(gap, w2)

    @property
    def best_gap(self) -> Entry:
        """The smallest bound of the gap that nothing refutes."""
        best = least(self.gap)
        none = Entry(None, reason="no bound of the gap is available")
        return none if best is None else self.gap[best[0]]

    @property
    def best_tv(self) -> Entry:
        """The bound of the total variation that follows from :attr:`best_gap`, if G is KL."""
        best = self.best_gap
        if best.value is None:
            return best
        return dataclasses.replace(best, value=float(tv(best.value)))


def chain(
    step_sizes: Sequence[float] | Array,
    errors: PerStep | float,
    lam: float,
    *,
    moved: PerStep | None = None,
    w0: float | None = None,
    kl0: float | None = None,
    second_moments: PerStep | None = None,
    target_second_moment: float | None = None,
    fisher: PerStep | None = None,
    base: Base = "previous",
    smoothness: float | None = None,
    not_optimal: Sequence[str] = (),
    seen: Collection[int] = (),
) -> list[StepBounds]:
    """Return every bound after every step of a run, with its label, or the reason why it lacks.

    The bounds, with what they are computed from and what they assume, are ``RULES``.

    Args:
        step_sizes: h_n, the size of the proximal step that ends step n.
        errors: eps_n, the norm of its residual (with the optimal map: ``optimal_residual``).
        lam: lambda of G; with base "forward" that of the explicit part f, the rest being convex.
        moved: D_n = W_2(base, p_n), or the root mean square movement, which is never below it; with
            base "forward" that of the whole step.
        w0: W_2(p_0, q), or a bound of it.
        kl0: KL(p_0|q), or a bound of it.
        second_moments: E|X|^2 under p_0, ..., p_N, by samples.
        target_second_moment: E|Z|^2 under q.
        fisher: I(p_n|q), the squared norm of the Wasserstein gradient after step n, by samples.
        base: The starting point of the proximal step: "previous", the law before it (jko);
            "forward", that law moved by an explicit step of f; "other", anything else (bdf2,
            crank_nicolson, accelerated), so that the steps do not chain; "none" without one.
        not_optimal: Why the map of each step is not the optimal one, as the bounds along the run
            assume; empty where it is, or where it need not be.
        seen: Steps (1, 2, ...) whose errors are lower bounds, by test fields: bounds that use them
            are labelled "bound given the eps seen".

    Returns:
        One record per step.

    Raises:
        UserError: The arguments' shapes disagree, or a number is negative.

    Source: docs/theory 1.5 to 1.7, 1.10 and 4.3.

    Example:
        >>> last = chain([1.0, 1.0], [0.1, 0.1], lam=1.0, moved=[1.5, 0.8], w0=3.0)[-1]
        >>> {name: round(e.value, 3) for name, e in last.gap.items() if e.value is not None}
        {'theorem_s': 0.454, 'a_priori': 0.446, 'theorem_q': 0.405, 'convex': 2.568, 'paper': 3.017}
        >>> round(last.best_gap.value, 3), str(last.best_gap.label), last.gap["theorem_p"].reason
        (0.405, 'bound given eps', 'kl0 is not known')
    """
    h, eps = steps_of(step_sizes, np.asarray(errors, dtype=float))
    if h.ndim != 1:
        raise UserError(f"chain follows one run: one step size a step, got shape {h.shape}")
    n = len(h)
    run = Inputs(
        h=h,
        errors=eps,
        moved=_known("moved", moved, n),
        fisher=_known("fisher", fisher, n),
        second_moments=_known("second_moments", second_moments, n + 1),
        w0=_known("w0", w0),
        kl0=_known("kl0", kl0),
        target_second_moment=_known("target_second_moment", target_second_moment),
        lam=lam,
        smoothness=_known("smoothness", smoothness),
        base=base,
    )
    label = functools.partial(_label, frozenset(seen))
    rows = [StepBounds() for _ in h]
    for rule, of in itertools.product(RULES, ("w2", "gap")):
        formula = getattr(rule, of)
        entries = [] if formula is None else _entries(rule, formula, run, label)
        if rule.along:
            entries = _withdrawn(entries, not_optimal)
        for row, entry in zip(rows, entries, strict=False):
            getattr(row, of)[rule.name] = entry
    return [with_transport_entropy(row, lam) for row in rows]


def with_transport_entropy(bounds: StepBounds, pl: float) -> StepBounds:
    """Return the bounds with that of the distance by the best of the gap: W_2^2 <= 2 KL / pl."""
    entry = bounds.best_gap
    if entry.value is not None and pl > 0:
        entry = dataclasses.replace(entry, value=float(transport_entropy(entry.value, pl)))
    elif entry.value is not None:
        entry = Entry(None, reason=f"needs a log-Sobolev constant, or lambda > 0, got {pl}")
    return dataclasses.replace(bounds, w2={**bounds.w2, "transport_entropy": entry})


def _withdrawn(entries: list[Entry], not_optimal: Sequence[str]) -> list[Entry]:
    """Return the entries without those at or after a step whose map is not optimal."""
    for k, why in enumerate(not_optimal):
        if why:
            failed = Entry(None, reason=f"hypothesis fails at step {k + 1}: {why}")
            return [*entries[:k], *(e if e.value is None else failed for e in entries[k:])]
    return entries


def _entries(
    rule: Rule, formula: Callable[[Inputs], Array], run: Inputs, label: Callable[..., Label]
) -> list[Entry]:
    """Return a rule's entry for each step: its value and label, or why there is none."""
    unknown = (f"{key} is not known" for key in rule.uses if np.all(np.isnan(getattr(run, key))))
    reason, values = rule.blocked(run) or next(unknown, ""), np.full(len(run.h), np.nan)
    if not reason:
        try:
            values = formula(run)
        except UserError as error:  # a condition of the theorem fails
            reason = str(error)
    entries = []
    for n, value in enumerate(values):
        used = range(n if rule.local else 0, n + 1)  # the steps that the bound uses
        if np.isnan(value):
            entries.append(Entry(None, reason=reason or _unknown(rule, run, used)))
        else:
            entries.append(Entry(float(value), label(rule, run, used)))
    return entries


_SAMPLED = {"fisher", "second_moments"}
"""Inputs that are estimates from samples."""


def _label(seen: frozenset[int], rule: Rule, run: Inputs, used: range) -> Label:
    """Return how a bound is known that uses these steps, counted from 0."""
    if {"errors", "fisher"} & set(rule.uses) and any(k + 1 in seen for k in used):
        return Label.GIVEN_SEEN
    if _SAMPLED & set(rule.uses):
        return Label.ESTIMATE
    given = "errors" in rule.uses and np.any(run.errors[list(used)] > 0)
    return Label.GIVEN_EPS if given else Label.EXACT


def _unknown(rule: Rule, run: Inputs, used: range) -> str:
    """Return which input is missing for a bound that uses these steps."""
    known = {key: getattr(run, key)[-len(run.h) :] for key in rule.uses if getattr(run, key).ndim}
    missing = (
        f"{key} of step {k + 1} is not known"
        for key, values in known.items()
        for k in used
        if np.isnan(values[k])
    )
    return next(missing, "an input is not known")


def _known(name: str, value: PerStep | float | None, *shape: int) -> Array:
    """Return so many numbers of a name, or one; NaN where they are not known."""
    numbers = np.full(shape, np.nan) if value is None else np.asarray(value, dtype=float)
    if numbers.shape != shape:
        raise UserError(f"{name} has {math.prod(shape)} numbers here, got shape {numbers.shape}")
    if np.any(numbers < 0):
        raise UserError(f"{name} cannot be negative, got {value}")
    return numbers
