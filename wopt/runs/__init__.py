"""Runs: how they are started, resumed, written and read back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wopt.lazy import exports

if TYPE_CHECKING:
    from wopt.runs.cite import Cited, cited, cited_component, components
    from wopt.runs.evaluate import audited
    from wopt.runs.execute import begin, resume
    from wopt.runs.loading import LoadedRun, check_data, load, load_run
    from wopt.runs.planned import prepared_run
    from wopt.runs.preparation import Prepared, log_density_of, particles_of, prepare
    from wopt.runs.progress import ListenerLike, listener_of
    from wopt.runs.solution import Solution, advance
    from wopt.runs.threads import like, training_threads, with_threads

__all__ = [
    "Cited",
    "ListenerLike",
    "LoadedRun",
    "Prepared",
    "Solution",
    "advance",
    "audited",
    "begin",
    "check_data",
    "cited",
    "cited_component",
    "components",
    "like",
    "listener_of",
    "load",
    "load_run",
    "log_density_of",
    "particles_of",
    "prepare",
    "prepared_run",
    "resume",
    "training_threads",
    "with_threads",
]

__getattr__, __dir__ = exports(
    __name__,
    {
        "Cited": "wopt.runs.cite",
        "ListenerLike": "wopt.runs.progress",
        "LoadedRun": "wopt.runs.loading",
        "Prepared": "wopt.runs.preparation",
        "Solution": "wopt.runs.solution",
        "advance": "wopt.runs.solution",
        "audited": "wopt.runs.evaluate",
        "begin": "wopt.runs.execute",
        "check_data": "wopt.runs.loading",
        "cited": "wopt.runs.cite",
        "cited_component": "wopt.runs.cite",
        "components": "wopt.runs.cite",
        "like": "wopt.runs.threads",
        "listener_of": "wopt.runs.progress",
        "load": "wopt.runs.loading",
        "load_run": "wopt.runs.loading",
        "log_density_of": "wopt.runs.preparation",
        "particles_of": "wopt.runs.preparation",
        "prepare": "wopt.runs.preparation",
        "prepared_run": "wopt.runs.planned",
        "resume": "wopt.runs.execute",
        "training_threads": "wopt.runs.threads",
        "with_threads": "wopt.runs.threads",
    },
)
