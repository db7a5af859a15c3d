"""The verdict on a run, in plain words: how good, against what, and what to do next."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from wopt.distributions import how_to_get
from wopt.host import host
from wopt.interfaces.measurement import document_of
from wopt.report.read import Run
from wopt.store.result import RunResult

Document = Mapping[str, Any]


def verdict_of(run: Run, place: str = "") -> tuple[str, ...]:
    """Return the verdict on a run with what its measurements say.

    Args:
        place: Its directory, as a command line names it.
    """
    result = run.result
    if result is None:
        return ()
    made = None if run.certificate is None else run.certificate.to_dict()
    how = f"`wopt certify {place or run.name}` measures how good it is"
    if document_of("certificate") is None:
        how = how_to_get("measurement", "certificate") or "install wopt-certify"
    measured = [
        _sentence(f"{label}: {words}")
        for summary in host().registry.functions("summary")
        for label, words in summary(result)
    ]
    words = verdict(result, made, uncertified=how)
    return (*words, *measured, *map(_sentence, run.said))


def verdict(
    result: RunResult, certificate: Document | None = None, *, uncertified: str = ""
) -> tuple[str, ...]:
    """Return sentences on a run, made of its documents alone; what is not known is not said.

    Args:
        certificate: The content of ``certificate.json``, if there is one.
        uncertified: Why there is no certificate, or how to get one.

    Example:
        >>> result = RunResult("done", "", 1, nll_test=1.0, nll_gaussian=1.95, rows=400)
        >>> gap = {"of": "KL(data | model)", "lower": 0.05, "level": 0.95, "estimate": 0.12}
        >>> print(verdict(result, {"gap": gap})[0])  # doctest: +NORMALIZE_WHITESPACE
        At least 0.05 nats a row from the law of the data (95 %), 0.12 found so far; a Gaussian is
        0.95 nats worse.
    """
    if certificate is None:
        parts = [*_known(result), *_against(result)]
        words = [f"Not certified: {uncertified}."] if uncertified else []
    else:
        parts = [*_distance(certificate), *_against(result)]
        words = [*_alike(certificate), *_calibrated(certificate)]
    scores = [_sentence("; ".join(parts))] if parts else []
    return (*_ended(result), *scores, *_far(result), *words)


def _far(result: RunResult) -> Iterator[str]:
    """Yield that rows far out decide the mean over test rows."""
    if result.far_rows:
        yield (
            f"{result.far_rows:,} of {result.rows or 0:,} test rows are so far out that each moves "
            "the mean by more than its standard error."
        )


def _ended(result: RunResult) -> Iterator[str]:
    """Yield how a run ended that is not done."""
    if result.status != "done":
        yield _sentence(f"{result.status} after {result.steps} steps: {result.reason}")
    if result.impossible:
        yield (
            f"{result.kl_of} is estimated as {_number(result.kl)}, and no divergence is negative: "
            "the target is not normalised, though it declares NORMALISED."
        )


def _known(result: RunResult) -> Iterator[str]:
    """Yield the divergence where both densities are known."""
    if result.kl is not None and not result.impossible:
        error = "" if result.kl_error is None else f" +- {result.kl_error:.2g}"
        yield f"{result.kl_of} is about {_number(result.kl)}{error} nats"


def _distance(certificate: Document) -> Iterator[str]:
    """Yield what is known of the gap: an interval, a lower side, or that none was found."""
    gap = certificate["gap"]
    lower, level = gap.get("lower"), f"({gap['level']:.0%})".replace("%", " %")
    data, energy = gap["of"] == "KL(data | model)", not str(gap["of"]).startswith("KL")
    unit = "above the minimum" if energy else "nats a row" if data else "nats"
    low, high = 0.0 if lower is None else max(0.0, lower), _upper(certificate)
    if lower is None:
        yield (
            "how far it is from the law of the data was not measured"
            if data
            else (f"{gap['of']} was not bounded from below")
        )
    elif high is not None:
        yield f"good to {_number(low)}-{_number(high)} {unit} {level}"
    elif low > 0:
        of = "at least {} {} from the law of the " + ("data" if data else "target")
        of = "at least {} {}" if energy else of
        yield of.format(_number(low), unit) + f" {level}{_found(gap)}"
    else:
        yield f"no other density that was tried is better for certain {level}{_found(gap)}"


def _upper(certificate: Document) -> float | None:
    """Return an upper side that needs nothing: an interval of the gap, or a bound that is one."""
    gap, steps = certificate["gap"], certificate.get("steps") or ()
    last = steps[-1].get("gap") if steps else None
    if gap.get("known") and last is not None:
        return float(last["high"])
    return None if gap.get("upper_needs") else gap.get("upper")


def _found(gap: Document) -> str:
    found = gap.get("estimate")
    return f", {_number(found)} found so far" if found is not None and found > 0 else ""


def _against(result: RunResult) -> Iterator[str]:
    """Yield the comparison with a fitted Gaussian, on the same rows."""
    gain = result.gain
    if gain is not None:
        yield f"a Gaussian is {_number(abs(gain))} nats {'worse' if gain >= 0 else 'better'}"


def _alike(certificate: Document) -> Iterator[str]:
    """Yield whether samples can be told from held-out rows, and in which columns."""
    tests = certificate.get("two_sample")
    if tests is None:
        return
    if not tests["differs"]:
        yield "Samples cannot be told from held-out rows."
        return
    names = [c["name"] for c in tests["columns"] if c["p_value"] <= 1 - tests["level"]]
    of = f" of {_listed(names)}" if names else ""
    yield f"Samples{of} differ from the data."


def _calibrated(certificate: Document) -> Iterator[str]:
    """Yield that a conditional law is not calibrated."""
    checks = (certificate.get("conditional") or {}).values()
    if any(isinstance(one, Mapping) and one["verdict"] != "calibrated" for one in checks):
        yield "The conditional law is not calibrated."


_NAMED = 4
"""Names that a sentence lists at most."""


def _listed(names: Sequence[str]) -> str:
    quoted = [f"`{name}`" for name in names[:_NAMED]]
    if len(names) > _NAMED:
        quoted[-1] = f"{len(names) - _NAMED + 1} more"
    return quoted[0] if len(quoted) == 1 else f"{', '.join(quoted[:-1])} and {quoted[-1]}"


def _number(value: float | None) -> str:
    """Return a number of nats for people, with three digits at most."""
    return "-" if value is None else f"{value:.2f}" if 0.01 <= abs(value) < 1000 else f"{value:.2g}"


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:].rstrip(".") + "."


def advice(run: Run) -> list[str]:
    """Return at most two sentences, the most urgent first; empty if nothing is wrong."""
    return list(islice(_all(run), 2))


def _all(run: Run) -> Iterator[str]:
    result = run.result
    if result is not None and result.status == "failed":
        yield (
            "A step was rejected for good: lower `scheme.step_size` or `solver.learning_rate`, or "
            "give the block more capacity; the steps before it stand."
        )
    if result is not None and result.status == "stopped":
        yield f"Go on with `wopt resume {run.name}`; it continues after the last finished step."
    if result is not None and result.impossible:
        yield (
            f"{result.kl_of} is estimated far below 0, so a density is not normalised: leave "
            "NORMALISED out of the target's `provides`, or add log Z to its potential."
        )
    for more in host().registry.functions("advice"):
        yield from more(run)
    limit = (run.config.get("solver") or {}).get("iterations")
    if run.pulls_back and limit and run.steps and run.steps[-1].iterations < limit:
        yield (
            "Most would be gained by more rows: held-out rows gained nothing more after "
            f"{run.steps[-1].iterations:,} of {limit:,} iterations."
        )
