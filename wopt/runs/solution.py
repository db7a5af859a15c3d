"""Solution: the result of a solve from Python."""

from __future__ import annotations

import dataclasses
import functools
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from wopt.component import build
from wopt.data.frames import array_of
from wopt.data.rows import as_rows
from wopt.errors import CapabilityError
from wopt.flow import Flow
from wopt.flow.conversions import in_own_units
from wopt.host import host
from wopt.html import paragraph
from wopt.interfaces.measurement import FinishedRun
from wopt.particles import Particles
from wopt.report.verdict import verdict
from wopt.runs.evaluate import audited, evaluate, in_float64
from wopt.runs.loop import make_steps
from wopt.runs.preparation import Prepared, particles_of
from wopt.runs.progress import ListenerLike, listener_of, steps_table, with_tracker
from wopt.runs.threads import training_threads, with_threads
from wopt.store.result import RunResult
from wopt.train.problem import Problem, State
from wopt.train.record import StepRecord
from wopt.train.stop import Stop


@dataclasses.dataclass(frozen=True, repr=False)
class Solution:
    """The result of a solve.

    Attributes:
        flow: The model made of the accepted steps.
        state: The last state, with the particles.
        status: ``"done"``; ``"stopped"`` on an interrupt; ``"failed"`` when a step was finally
            rejected.
        reason: Why it ended.
        prepared: The run's data and parts.
        lower: Result of the last challenge, if ``stop.challenge`` asked for them.
    """

    flow: Flow
    state: State
    status: Literal["done", "stopped", "failed"]
    reason: str
    prepared: Prepared
    lower: Any = None

    @property
    def history(self) -> tuple[StepRecord, ...]:
        """The records of the steps."""
        return self.state.records

    @property
    def problem(self) -> Problem:
        """The problem: objective, scheme, solver and other parts."""
        return self.prepared

    @property
    def start(self) -> Particles:
        """The held-out particles before the first step."""
        return self.prepared.valid

    def __repr__(self) -> str:
        last = f", energy {self.history[-1].energy:.6g}" if self.history else ""
        return f"Solution({self.status} after {self.state.step} step(s){last}: {self.reason})"

    @functools.cached_property
    def result(self) -> RunResult:
        """The scores on test rows, as in ``result.json``."""
        data, config = self.prepared.dataset, self.prepared.config
        if data is None:
            raise CapabilityError(
                "scores need rows of a source, and this solve began with particles; solve from a "
                "source, such as wopt.fit's rows"
            )
        test = particles_of(data, data.test, config, known=False)
        return dataclasses.replace(
            evaluate(self.prepared, self.flow.blocks, test),
            status=self.status,
            reason=self.reason,
            seconds=sum(record.seconds for record in self.history),
            cpu_seconds=sum(record.cpu_seconds for record in self.history),
        )

    def __str__(self) -> str:
        """Return the verdict below the summary; of particles, which have no rows, that alone."""
        if self.prepared.dataset is None:
            return repr(self)
        how = "`solution.certificate()` measures how good it is"
        return "\n".join([repr(self), *verdict(self.result, uncertified=how)])

    def _repr_html_(self) -> str:
        """Return the text and table of steps that a notebook shows."""
        steps = steps_table(self.history) if self.history else ""
        on = ""
        if self.status == "stopped":
            on = paragraph("Continue from the last finished step: solution.resume()")
        return paragraph(repr(self), bold=True) + steps + on

    def sample(
        self, n: int, *, conditions: Any = None, generator: torch.Generator | None = None
    ) -> Any:
        """Return samples, ``(n, d)``, of the data's type: a frame, an array or a tensor.

        Args:
            n: Number of samples; for each row of the conditions if these are given.
            conditions: Conditions of a conditional model, as in :meth:`Flow.sample
                <wopt.flow.flow.Flow.sample>`; they are returned as the last columns.
            generator: Generator of the draws; torch's global one by default.

        Example:
            >>> import pyarrow, torch, wopt
            >>> x = torch.randn(300, generator=torch.Generator().manual_seed(0)).exp()
            >>> frame = pyarrow.table({"price": x.numpy(), "sold": [True, False, False] * 100})
            >>> solution = wopt.fit(frame, support={"price": "positive"}, block="affine",
            ...     stop={"steps": 1}, solver={"iterations": 20})
            >>> new = solution.sample(4)
            >>> new.schema.names, bool(new.column("price").to_pandas().min() > 0)
            (['price', 'sold'], True)
        """
        size = (n,) if isinstance(n, int) else (*n, 1)
        x = self.flow.sample(size, generator=generator, conditions=conditions)
        if conditions is not None:
            width = self.flow.condition
            names, columns = self.flow.names[-width:], self.flow.columns
            given = as_rows(conditions, names, None, 0, columns).to(x)
            x = torch.cat([x, given.expand(*x.shape[:-1], width)], dim=-1).reshape(
                -1, self.flow.dim
            )
        if self.flow.frame is not None:
            return self.flow.frame.frame(self.flow.table(x))
        rows = getattr(self.prepared.config.source, "x", None)
        return array_of(x, self.flow.described) if type(rows) is np.ndarray else x

    def resume(
        self, stop: Stop | dict[str, Any] | None = None, listener: ListenerLike = None
    ) -> Solution:
        """Continue from the last finished step: after an interruption, or with another stop rule.

        Args:
            stop: Another rule, such as ``{"steps": 8}``.
            listener: Receives messages on progress, as in :func:`wopt.solve`.

        Example:
            >>> import torch, wopt
            >>> x = torch.randn(300, 1, generator=torch.Generator().manual_seed(0)) + 2
            >>> short = wopt.fit(x, block="affine", stop={"steps": 1}, solver={"iterations": 20})
            >>> short.resume(stop={"steps": 2}).state.step
            2
        """
        prepared = self.prepared
        if stop is not None:
            chosen = stop if isinstance(stop, Stop) else Stop(**stop)
            prepared = dataclasses.replace(prepared, stop=chosen)
        return advance(prepared, self.state, listener)

    def report(self, path: str | Path, certificate: Any = None) -> Path:
        """Write one HTML page: the flow in motion, samples beside rows, every step.

        Args:
            path: The page, such as ``report.html``.
            certificate: A certificate to show, if any.

        Raises:
            UserError: The solve began with particles, so there are no rows to show, or wopt-report
                is not installed.

        Example:
            >>> import tempfile, torch, wopt
            >>> x = torch.randn(300, 2, generator=torch.Generator().manual_seed(0)) + 2
            >>> made = wopt.fit(x, block="affine", stop={"steps": 1}, solver={"iterations": 20})
            >>> with tempfile.TemporaryDirectory() as folder:
            ...     "The flow in motion" in made.report(f"{folder}/report.html").read_text()
            True
        """
        made: Path = host().registry.function("report").of_solution(self, Path(path), certificate)
        return made

    def certificate(self, particles: Particles | int | None = None, **options: Any) -> Any:
        """Return a certificate of the flow, as ``wopt certify`` makes it for a run.

        Args:
            particles: Particles of the start, not trained on; by default chosen as for a run: fresh
                draws if the source can be sampled, else test and validation rows. A number is the
                option of that name: the number of particles.
            options: Options of the measurement ``certificate``, as in the table ``[certify]``.

        Returns:
            The certificate, as in ``certificate.json``.

        Raises:
            UserError: The solution has no step, or wopt-certify is not installed.

        Example:
            >>> import torch, wopt
            >>> x = torch.randn(600, 1, generator=torch.Generator().manual_seed(0)) + 2
            >>> solution = wopt.fit(x, block="affine", preprocess="none", stop={"steps": 1},
            ...     solver={"iterations": 50})
            >>> made = solution.certificate(iterations=0, transport_rows=0)
            >>> made.steps[0].residual.by, made.convexity
            ('affine', 1.0)
        """
        if isinstance(particles, int):
            options, particles = {**options, "particles": particles}, None
        prepared, state = audited(self.prepared, self.state)
        if particles is not None and prepared is not self.prepared:
            particles = in_float64(particles)
        chosen = prepared.config.certify or build("measurement", "certificate")
        run = FinishedRun(prepared, state, particles=particles, lower=self.lower)
        with training_threads(prepared.config):
            return chosen.with_options(**options).measure(run)


def advance(problem: Prepared, state: State, listener: ListenerLike = None) -> Solution:
    """Make steps until a stop rule, a final rejection or an interrupt ends them."""
    problem = with_threads(problem)
    progress = with_tracker(listener_of(listener), problem.config.tracker)
    ended = make_steps(problem, state, progress, go_on="`solution.resume()` goes on")
    progress.end(
        RunResult(
            ended.status,
            ended.reason,
            ended.state.step,
            model="push_forward" if problem.pushes else "pull_back",
            seconds=sum(record.seconds for record in ended.state.records),
            cpu_seconds=sum(record.cpu_seconds for record in ended.state.records),
        )
    )
    flow = in_own_units(problem.flow(ended.state.blocks), problem.objective.target)
    flow.frame = getattr(problem.config.source, "frame", None)
    return Solution(flow, ended.state, ended.status, ended.reason, problem, ended.lower)
