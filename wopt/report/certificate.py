"""The certificate's part of a report: a picture by step, and every bound with what it needs."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from wopt.report.read import Run
from wopt.report.style import (
    BLUE,
    GREEN,
    INK,
    MUTED,
    ORANGE,
    PURPLE,
    VERMILION,
    WIDTH,
    Picture,
    svg,
)

__all__ = ["BoundRow", "bound_rows", "certificate_picture"]

BOUNDS = {
    "theorem_p": ("Theorem P", BLUE, "lambda, the true eps of all steps, KL at the start"),
    "a_priori": ("a priori (S', P)", GREEN, "lambda, the true eps of all steps, W2 at the start"),
    "theorem_s": ("Theorem S, S'", "#56B4E9", "lambda, the true eps of all steps, W2 at the start"),
    "theorem_q": ("Theorem Q", VERMILION, "lambda, the true eps of the last step"),
    "log_sobolev": ("log-Sobolev", PURPLE, "lambda, the gradient's true norm"),
    "forward_backward": ("forward-backward", ORANGE, "lambda and L of the explicit part, true eps"),
    "convex": ("lambda = 0", "#999999", "convexity, the true eps of all steps, W2 at the start"),
    "paper": ("the paper's (1.5)-(1.7)", INK, "lambda, the true eps of all steps, W2 at the start"),
    "moments": ("moments", "#999999", "second moments"),
    "transport_entropy": ("from KL (T2)", "#56B4E9", "lambda, the best bound of KL"),
}
"""Of each bound: its name, its colour, what it needs to hold."""

_METHODS = {
    "score": ("eps, pushed score", GREEN, "s"),
    "gradient": ("eps, at the particles", GREEN, "s"),
    "critic": ("eps, critic", VERMILION, "D"),
    "affine": ("eps, affine fields", ORANGE, "^"),
    "record": ("eps, affine fields (of the run)", ORANGE, "^"),
}


@dataclasses.dataclass(frozen=True)
class BoundRow:
    """One line of the table of bounds after the last step.

    Attributes:
        name: Of the bound.
        kl, w2: Its values, if any.
        label: How they are known.
        needs: What they need to hold, or why there is none.
    """

    name: str
    kl: float | None
    w2: float | None
    label: str
    needs: str


def bound_rows(run: Run) -> list[BoundRow]:
    """Return the bounds after the last step, the smallest first."""
    certificate = run.certificate
    if certificate is None or not certificate["steps"]:
        return []
    bounds = certificate["steps"][-1]["bounds"]
    of_kl, of_w2 = bounds.get("kl", bounds.get("gap", {})), bounds["w2"]
    rows = []
    for key, (name, _, needs) in BOUNDS.items():
        entries = [table[key] for table in (of_kl, of_w2) if key in table]
        if not entries:
            continue
        known = [entry for entry in entries if entry["value"] is not None]
        rows.append(
            BoundRow(
                name,
                of_kl.get(key, {}).get("value"),
                of_w2.get(key, {}).get("value"),
                known[0]["label"] if known else "not available",
                needs if known else entries[0].get("reason", ""),
            )
        )
    return sorted(rows, key=lambda r: (r.kl is None, r.kl or 0.0, r.w2 is None, r.w2 or 0.0))


def certificate_picture(run: Run) -> Picture | None:
    """Draw the true divergence where it is known, the bounds, and the measured errors by step."""
    certificate = run.certificate
    if certificate is None or not certificate["steps"]:
        return None
    steps = certificate["steps"]
    figure = Figure(figsize=(WIDTH, 4.2))
    left, right = figure.subplots(1, 2, gridspec_kw={"width_ratios": [3, 2]})
    _bounds(left, steps, certificate["of"])
    _errors(right, steps)
    return Picture(
        "certificate",
        "Certificate",
        "Bars are the intervals of estimates. The true divergence, where it is known, must lie "
        "below every bound, up to its interval; a bound given eps holds for the true eps.",
        f"Bounds of {certificate['of']} and first-order errors over {len(steps)} steps, "
        "logarithmic scales.",
        svg(figure),
    )


def _bounds(axes: Axes, steps: list[dict[str, Any]], of: str) -> None:
    key = "kl" if "kl" in steps[0]["bounds"] else "gap"
    at = [s["step"] for s in steps]
    for name, (label, colour, _) in BOUNDS.items():
        entries = [s["bounds"][key].get(name, {}) for s in steps]
        values = _numbers([e.get("value") for e in entries])
        if np.isfinite(values).any():
            dashed = "--" if name in ("paper", "convex") else "-"
            axes.plot(at, _positive(values), dashed, color=colour, marker=".", label=label)
    _with_interval(axes, at, [s[key] for s in steps], "true (estimate)", INK, "o")
    axes.set_title(f"Bounds of {of}")
    axes.set_ylabel("nats" if key == "kl" else "the objective's units")
    _finish(axes)


def _errors(axes: Axes, steps: list[dict[str, Any]]) -> None:
    at = [s["step"] for s in steps]
    moved = [s["movement"]["value"] / s["effective_step_size"] for s in steps]
    axes.plot(at, _positive(_numbers(moved)), color=BLUE, marker="o", label="movement / h")
    for method, (label, colour, marker) in _METHODS.items():
        found = [s["residuals"].get(method) for s in steps]
        _with_interval(axes, at, found, label, colour, marker)
    axes.set_title("First-order errors (estimates)")
    axes.set_ylabel("length per h")
    _finish(axes)


def _with_interval(
    axes: Axes,
    at: list[int],
    found: list[dict[str, Any] | None],
    label: str,
    colour: str,
    marker: str,
) -> None:
    value, low, high = (
        _numbers([None if e is None else e[end] for e in found]) for end in ("value", "low", "high")
    )
    if not np.isfinite(value).any():
        return
    shown = _positive(value)
    # A zero cannot be shown on a logarithmic axis; the upper end of its interval can.
    bars = np.vstack([np.nan_to_num(shown - np.maximum(low, 0.02 * shown)), high - shown])
    axes.errorbar(
        at, shown, yerr=np.clip(np.nan_to_num(bars), 0, None), color=colour, marker=marker,
        ms=5, lw=1.2, capsize=2.5, label=label, zorder=4,
    )  # fmt: skip
    only_high = np.isnan(shown) & (high > 0)
    if only_high.any():
        axes.plot(
            np.array(at)[only_high], high[only_high], ls="", marker="v", mfc="none", color=colour
        )


def _finish(axes: Axes) -> None:
    axes.set_yscale("log")
    axes.set_xlabel("step", color=MUTED)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8, min_n_ticks=1))
    if axes.get_legend_handles_labels()[0]:
        axes.legend(loc="best", fontsize=8)


def _numbers(values: list[float | None]) -> np.ndarray[Any, np.dtype[np.float64]]:
    return np.array([np.nan if v is None else v for v in values], dtype=float)


def _positive(
    values: np.ndarray[Any, np.dtype[np.float64]],
) -> np.ndarray[Any, np.dtype[np.float64]]:
    return np.where(values > 0, values, np.nan)
