"""The key numbers of a report, and how numbers are written."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from wopt.report.read import Run

__all__ = ["Card", "cards", "number"]

Number = float | int | None

_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


@dataclasses.dataclass(frozen=True)
class Card:
    """A key number.

    Attributes:
        key: The element's id.
        label: What it is.
        value: The number.
        unit: Its unit.
        note: How to read it.
        estimate: Whether it is estimated from samples.
        warn: Whether it should worry the reader.
    """

    key: str
    label: str
    value: Number
    unit: str
    note: str
    estimate: bool = False
    warn: bool = False

    @property
    def text(self) -> str:
        """The value as shown: nats to three decimals, whatever their size."""
        if self.unit == "nats" and self.value is not None and abs(self.value) >= 0.01:
            return f"{self.value:.3f}".replace("-", "−")
        return number(self.value, 3)


def cards(run: Run) -> list[Card]:
    """Return the key numbers that are known."""
    found = list(_likelihoods(run)) + list(_others(run))
    return [card for card in found if card.value is not None]


def _likelihoods(run: Run) -> Iterator[Card]:
    result = run.result or {}
    nll, entropy = result.get("nll_test"), result.get("entropy")
    gaussian = result.get("nll_gaussian")
    yield Card("nll_test", "Test NLL", nll, "nats", "audited, mean over test rows", True)
    if nll is None and run.steps:
        last = run.steps[-1]
        note = f"after step {last['step']}, mean over held-out rows"
        yield Card("nll_valid", "Held-out NLL", last.get("nll_valid"), "nats", note, True)
    if nll is not None and gaussian is not None:
        yield Card(
            "gain",
            "Better than a Gaussian" if nll <= gaussian else "Worse than a Gaussian",
            abs(gaussian - nll),
            "nats",
            f"of full covariance, whose NLL is {gaussian:.3f}".replace("-", "−"),
            True,
            nll > gaussian,
        )
    if run.pulls_back:
        note = "known: no model's NLL is below"
        yield Card("entropy", "Entropy of the data", entropy, "nats", note)
    kl = result.get("kl")
    if kl is None and nll is not None and entropy is not None:
        kl = nll - entropy
    if kl is not None:
        below = kl < 0
        note = (
            "mean of log p - log q, test rows" if run.pulls_back else "of the model to the target"
        )
        if below:
            note += "; below zero: sampling noise, or a likelihood that is off"
        yield Card("kl", "KL divergence", kl, "nats", note, True, below)


def _others(run: Run) -> Iterator[Card]:
    result = run.result or {}
    yield Card(
        "likelihood_error",
        "Likelihood error",
        result.get("likelihood_error"),
        "nats",
        "mean difference, grid against audit",
        True,
    )
    yield Card(
        "inversion_error",
        "Inversion error",
        result.get("inversion_error"),
        "rms",
        "of F⁻¹(F(x)) − x",
        True,
    )
    yield Card(
        "steps", "Steps", result.get("steps", len(run.steps) or None), "", "blocks, one each"
    )
    yield Card("parameters", "Parameters", result.get("parameters"), "", "of all blocks")
    total = {key: result.get(key, _total(run, key)) for key in ("seconds", "cpu_seconds")}
    yield Card("seconds", "Time", total["seconds"], "s", "by the clock")
    yield Card("cpu_seconds", "Processor time", total["cpu_seconds"], "s", "all threads together")


def _total(run: Run, key: str) -> Number:
    values = [r.get(key) for r in run.steps]
    return sum(v for v in values if v is not None) if values else None


def number(value: Number, digits: int = 4) -> str:
    """Return a number as people read it.

    Example:
        >>> [number(v) for v in (None, 12345, 2.79123, -0.00001234)]
        ['–', '12,345', '2.791', '−1.23×10⁻⁵']
    """
    if value is None:
        return "–"
    if isinstance(value, int):
        return f"{value:,}".replace("-", "−")
    if value == 0:
        return "0"
    if not 1e-3 <= abs(value) < 1e5:
        mantissa, exponent = f"{abs(value):.2e}".split("e")
        text = f"{mantissa}×10{str(int(exponent)).translate(_SUPERSCRIPTS)}"
    else:
        text = f"{abs(value):.{digits}g}" if abs(value) < 10**digits else f"{abs(value):.0f}"
    return ("−" if value < 0 else "") + text
