"""The words of a report: key numbers, status and settings."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

from wopt.store import RunResult
from wopt_report.pages import Number, number
from wopt_report.run import PlottedRun

METRICS = (
    ("sym_kl", "KL both ways from the exact solution, nats"),
    ("l1", "L1 from the exact solution"),
    ("w2_at_most", "W2 at most from the exact solution"),
    ("second_moment_error", "second moment against the exact one, relative"),
)
"""Distances from an exact law, the strongest first: the name of the field, and words."""


@dataclasses.dataclass(frozen=True)
class Card:
    """A key number.

    Attributes:
        key: The element's id.
        label: The name of the number.
        value: The number.
        unit: Its unit.
        note: How to read it.
        estimate: Whether it is estimated from samples.
        warn: Whether it is a warning sign.
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
        """The value as shown: nats have three decimals."""
        if self.unit == "nats" and self.value is not None and abs(self.value) >= 0.01:
            return f"{self.value:.3f}".replace("-", "−")
        return number(self.value, 3)


def cards(run: PlottedRun) -> list[Card]:
    """Return the key numbers that are known."""
    possible = list(_likelihoods(run)) + list(_others(run))
    return [card for card in possible if card.value is not None]


def _likelihoods(run: PlottedRun) -> Iterator[Card]:
    result = run.result
    if result is not None and run.pulls_back:
        yield from _of_data(result)
    elif result is None and run.steps and run.pulls_back:
        last = run.steps[-1]
        note = f"after step {last.step}, mean over held-out rows"
        yield Card("nll_valid", "Held-out NLL", last.nll_valid, "nats", note, True)
    if result is None:
        return
    kl = result.kl
    if kl is None and result.nll_test is not None and result.entropy is not None:
        kl = result.nll_test - result.entropy
    if kl is not None:
        note = "mean of log p - log q" + (", test rows" if run.pulls_back else ", fresh draws")
        if result.impossible:
            note += "; no divergence is negative: the target is not normalised"
        elif kl < 0:
            note += "; below zero: sampling noise, or an inaccurate likelihood"
        yield Card("kl", result.kl_of, kl, "nats", note, True, kl < 0)


def _of_data(result: RunResult) -> Iterator[Card]:
    """Yield the likelihoods of data, which have no meaning for a start pushed forward."""
    nll, gain = result.nll_test, result.gain
    note = f"audited, mean over {'' if result.rows is None else f'{result.rows:,} '}test rows"
    if result.nll_error is not None:
        note += f"; standard error {number(result.nll_error, 2)}"
    yield Card("nll_test", "Test NLL", nll, "nats", note, True)
    note = "mean over test rows, an upper bound of a code's"
    if result.published:
        others = (f"{name} {number(bits, 3)}" for name, bits in result.published.items())
        note += f"; published: {', '.join(others)}"
    bits = result.bits_per_dim
    yield Card("bits_per_dim", "Bits per dimension", bits, "", note, True)
    if gain is not None:
        yield Card(
            "gain",
            "Better than a Gaussian" if gain >= 0 else "Worse than a Gaussian",
            abs(gain),
            "nats",
            f"of full covariance, whose NLL is {result.nll_gaussian:.3f}".replace("-", "−"),
            True,
            gain < 0,
        )
    note = "known: no model's NLL is below"
    yield Card("entropy", "Entropy of the data", result.entropy, "nats", note)


def _others(run: PlottedRun) -> Iterator[Card]:
    result = run.result or RunResult("done", "", len(run.steps))
    for key, label, unit, note in (
        ("likelihood_error", "Likelihood error", "nats", "mean difference, grid against audit"),
        ("inversion_error", "Inversion error", "rms", "of F⁻¹(F(x)) − x"),
    ):
        yield Card(key, label, getattr(result, key), unit, note, True)
    yield Card("steps", "Steps", result.steps or None, "", "blocks, one each")
    yield Card("parameters", "Parameters", result.parameters, "", "of all blocks")
    seconds, cpu = result.seconds, result.cpu_seconds
    if run.result is None:
        seconds, cpu = _total(run, "seconds"), _total(run, "cpu_seconds")
    yield Card("seconds", "Time", seconds, "s", "by the clock")
    yield Card("cpu_seconds", "Processor time", cpu, "s", "all threads together")


def _total(run: PlottedRun, key: str) -> float | None:
    return sum(getattr(r, key) for r in run.steps) if run.steps else None


@dataclasses.dataclass(frozen=True)
class Status:
    """The badge: a word, its kind (``done``, ``stopped``, ``failed``, ``open``) and the reason."""

    word: str
    kind: str
    reason: str


def status(run: PlottedRun) -> Status:
    """Return the badge of a run."""
    if run.result is None:
        last = run.steps[-1].step if run.steps else 0
        return Status(
            "unfinished",
            "open",
            f"There is no result.json: the run was interrupted after step {last}, or still goes "
            "on. `wopt resume` continues it.",
        )
    word = run.result.status
    kind = word if word in ("done", "stopped", "failed") else "open"
    return Status(word, kind, run.result.reason)


def subtitle(run: PlottedRun) -> str:
    """Return a line on the run: source, objective, target, scheme, block."""
    objective = run.config.get("objective")
    target = objective.get("target") if isinstance(objective, dict) else None
    parts = [
        ("source", _name(run.config.get("source"))),
        ("objective", _name(objective)),
        ("target", _name(target)),
        ("scheme", _name(run.config.get("scheme"))),
        ("block", _name(run.config.get("block"))),
    ]
    return " · ".join(f"{kind} {name}" for kind, name in parts if name)


def _name(value: Any) -> str:
    name = value.get("name") if isinstance(value, dict) else value
    return name if isinstance(name, str) else ""
