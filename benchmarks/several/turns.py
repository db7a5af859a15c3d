"""Jobs that take turns of CPU seconds in one process, so that a busy machine is busy for all."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

import torch

__all__ = ["Turns"]


class Turns:
    """Runs jobs in threads of which one works at a time; each keeps its own random state.

    A job calls :meth:`rest` often. When its turn is over, the job that has had the smallest share
    of what it is to have goes on. Only the working thread runs, so the process's CPU time is its.
    """

    def __init__(self, seconds: float = 1.0) -> None:
        self.seconds = seconds
        self.spent: dict[str, float] = {}
        self.results: dict[str, Any] = {}
        self.states: dict[str, torch.Tensor] = {}
        self.now = ""
        self.mark = 0.0
        self.baton = threading.Condition()

    def run(self, jobs: Mapping[str, Callable[[Callable[[], None]], Any]]) -> dict[str, Any]:
        """Return what the jobs return; ``spent`` then holds their CPU seconds."""
        self.spent = dict.fromkeys(jobs, 0.0)
        self.states = {name: torch.get_rng_state() for name in jobs}
        threads = [threading.Thread(target=self._job, args=pair) for pair in jobs.items()]
        for thread in threads:
            thread.start()
        with self.baton:
            self._hand_on()
        for thread in threads:
            thread.join()
        for found in self.results.values():
            if isinstance(found, BaseException):
                raise found
        return self.results

    def _job(self, name: str, work: Callable[[Callable[[], None]], Any]) -> None:
        torch.set_num_threads(1)
        self._wait(name)
        try:
            found = work(lambda: self.rest(name))
        except BaseException as error:  # raised again by the thread that waits for all
            found = error
        with self.baton:
            self.spent[name] += time.process_time() - self.mark
            self.results[name] = found
            self._hand_on()

    def rest(self, name: str) -> None:
        """Let another job work, if this one's turn is over."""
        used = time.process_time() - self.mark
        if used < self.seconds:
            return
        with self.baton:
            self.spent[name] += used
            self.states[name] = torch.get_rng_state()
            self._hand_on()
        self._wait(name)

    def _hand_on(self) -> None:
        waiting = [name for name in self.spent if name not in self.results]
        self.now = min(waiting, key=self.spent.__getitem__, default="")
        self.mark = time.process_time()
        self.baton.notify_all()

    def _wait(self, name: str) -> None:
        with self.baton:
            self.baton.wait_for(lambda: self.now == name)
        torch.set_rng_state(self.states[name])
        self.mark = time.process_time()
