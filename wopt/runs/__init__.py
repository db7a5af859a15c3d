"""Runs: how they are started, resumed, written and read back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wopt.lazy import exports

if TYPE_CHECKING:
    from wopt.runs.building import build_problem as build_problem
    from wopt.runs.evaluate import audited as audited
    from wopt.runs.execute import begin as begin
    from wopt.runs.execute import resume as resume
    from wopt.runs.loading import LoadedRun as LoadedRun
    from wopt.runs.loading import check_data as check_data
    from wopt.runs.loading import load as load
    from wopt.runs.loading import load_run as load_run
    from wopt.runs.preparation import Prepared as Prepared
    from wopt.runs.preparation import log_density_of as log_density_of
    from wopt.runs.preparation import particles_of as particles_of
    from wopt.runs.progress import ListenerLike as ListenerLike
    from wopt.runs.progress import listener_of as listener_of
    from wopt.runs.solution import Solution as Solution
    from wopt.runs.solution import advance as advance
    from wopt.runs.threads import like as like
    from wopt.runs.threads import training_threads as training_threads
    from wopt.runs.threads import with_threads as with_threads

__getattr__, __dir__ = exports(__name__, __file__)
