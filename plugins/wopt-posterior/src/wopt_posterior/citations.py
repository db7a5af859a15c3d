"""Whom to cite for what was measured of a sampler."""

from __future__ import annotations

from collections.abc import Iterator

from wopt.config import RunConfig
from wopt.store import RunDirectory, RunResult, read_document
from wopt_report import Cited, cited

_SAMPLER = ("vehtari2024", "zhang2009", "owen2013")
_LOST = ("kirkpatrick1983", "roberts1996")


def sampler_citations(run: RunDirectory, _: RunConfig) -> Iterator[Cited]:
    """Yield what the diagnostics of a sampler used."""
    result = read_document(run.result, RunResult)
    if result is not None:
        yield from _of_sampler(result)


def _of_sampler(result: RunResult) -> Iterator[Cited]:
    if result.sampler is not None:
        yield cited("diagnostics of the sampler (k-hat, ESS, log Z)", _SAMPLER)
        if result.sampler.lost_modes is not None:
            yield cited("search for lost modes", _LOST)
