"""Solution: what a solve from Python leaves, and how it goes on."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, Literal

import torch

from wopt.certify.lower import LowerSide
from wopt.certify.results import Certificate
from wopt.data.columns import Columns
from wopt.data.frames import array_of, frame_like, is_frame
from wopt.data.rows import as_rows
from wopt.flow import Flow
from wopt.flow.own import in_own_units
from wopt.html import paragraph
from wopt.particles import Particles
from wopt.runs.loop import make_steps
from wopt.runs.notebook import steps_table
from wopt.runs.prepare import Prepared
from wopt.runs.threads import training_threads, with_threads
from wopt.runs.told import ListenerLike, listener_of, with_tracker
from wopt.store.result import RunResult
from wopt.train.problem import Problem, State
from wopt.train.record import StepRecord
from wopt.train.stop import Stop

__all__ = ["Solution", "advance"]


@dataclasses.dataclass(frozen=True, repr=False)
class Solution:
    """What a solve leaves.

    Attributes:
        flow: The model made of the accepted steps.
        state: The last state: where the particles stand.
        status: ``"done"``; ``"stopped"`` when it was interrupted; ``"failed"`` when a step was
            rejected for good.
        reason: Why it ended.
        prepared: What was solved, and from where.
        lower: What the last challenge found, if ``stop.challenge`` asked for them.
    """

    flow: Flow
    state: State
    status: Literal["done", "stopped", "failed"]
    reason: str
    prepared: Prepared
    lower: LowerSide | None = None

    @property
    def history(self) -> tuple[StepRecord, ...]:
        """A record a step."""
        return self.state.records

    @property
    def problem(self) -> Problem:
        """What was minimised and how."""
        return self.prepared.problem

    @property
    def start(self) -> Particles:
        """The held-out particles before the first step."""
        return self.prepared.valid

    def __repr__(self) -> str:
        last = f", energy {self.history[-1].energy:.6g}" if self.history else ""
        return f"Solution({self.status} after {self.state.step} step(s){last}: {self.reason})"

    def _repr_html_(self) -> str:
        """Return what a notebook shows: how it ended, and the steps."""
        steps = steps_table(self.history) if self.history else ""
        on = ""
        if self.status == "stopped":
            on = paragraph("Go on from the last finished step: solution.resume()")
        return paragraph(repr(self), bold=True) + steps + on

    def sample(
        self, n: int, *, conditions: Any = None, generator: torch.Generator | None = None
    ) -> Any:
        """Return samples as the data were: a frame with their names and types, an array, a tensor.

        Args:
            n: How many; for each row of the conditions if these are given.
            conditions: Of a conditional model, as in :meth:`Flow.sample
                <wopt.flow.flow.Flow.sample>`; they come back as the last columns.
            generator: Draws them; torch's own by default.

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
        x = self.flow.sample(n, generator=generator, conditions=conditions)
        if conditions is not None:
            width = self.flow.condition
            names, columns = self.flow.names[-width:], self.flow.columns
            given = as_rows(conditions, names, None, 0, columns).to(x)
            x = torch.cat([x, given.expand(*x.shape[:-1], width)], dim=-1).reshape(
                -1, self.flow.dim
            )
        columns = self.flow.columns or Columns.on_the_line(self.flow.names, self.flow.condition)
        like = getattr(self.prepared.config.source, "like", None)
        if like is None:
            return x
        return frame_like(self.flow.table(x), like) if is_frame(like) else array_of(x, columns)

    def resume(
        self, stop: Stop | dict[str, Any] | None = None, listener: ListenerLike = None
    ) -> Solution:
        """Go on from the last finished step: after an interruption, or under a later stop rule.

        Args:
            stop: Another rule, such as ``{"steps": 8}``.
            listener: As in :func:`wopt.solve`.

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
            prepared = dataclasses.replace(
                prepared, problem=dataclasses.replace(prepared.problem, stop=chosen)
            )
        return advance(prepared, self.state, listener)

    def report(self, path: str | Path, certificate: Certificate | None = None) -> Path:
        """Write one HTML page: the flow in motion, samples beside rows, every step.

        Args:
            path: The page, such as ``report.html``.
            certificate: Shown too, if it is given.

        Raises:
            UserError: The solve began with particles, so there are no rows to show.

        Example:
            >>> import tempfile, torch, wopt
            >>> x = torch.randn(300, 2, generator=torch.Generator().manual_seed(0)) + 2
            >>> made = wopt.fit(x, block="affine", stop={"steps": 1}, solver={"iterations": 20})
            >>> with tempfile.TemporaryDirectory() as folder:
            ...     "The flow in motion" in made.report(f"{folder}/report.html").read_text()
            True
        """
        from wopt.runs.page import write_page

        return write_page(self, Path(path), certificate)

    def certificate(self, particles: Particles | int | None = None, **options: Any) -> Certificate:
        """Measure what the flow guarantees, as ``wopt certify`` does of a run.

        Args:
            particles: Of the start, not trained on; as a run chooses them by default: fresh draws
                if the source can be drawn from, else test and validation rows. A number is the
                option of that name: how many.
            options: Of :class:`~wopt.certify.options.CertifyOptions`.

        Returns:
            What ``certificate.json`` would hold.

        Raises:
            UserError: There is no step.

        Example:
            >>> import torch, wopt
            >>> x = torch.randn(600, 1, generator=torch.Generator().manual_seed(0)) + 2
            >>> solution = wopt.fit(x, block="affine", preprocess="none", stop={"steps": 1},
            ...     solver={"iterations": 50})
            >>> made = solution.certificate(iterations=0, transport_rows=0)
            >>> made.steps[0].residual.by, made.convexity
            ('affine', 1.0)
        """
        from wopt.runs.certify import certify
        from wopt.runs.precise import audited, doubled

        if isinstance(particles, int):
            options, particles = {**options, "particles": particles}, None
        prepared, state = audited(self.prepared, self.state)
        if particles is not None and prepared is not self.prepared:
            particles = doubled(particles)
        with training_threads(prepared.config):
            return certify(
                prepared,
                state,
                particles=particles,
                options=options,
                lower=self.lower,
            )


def advance(prepared: Prepared, state: State, listener: ListenerLike = None) -> Solution:
    """Make steps until a stop rule is met, a step is rejected for good, or an interrupt."""
    prepared = with_threads(prepared)
    told = with_tracker(listener_of(listener), prepared.config.tracker)
    ended = make_steps(prepared, state, told, go_on="`solution.resume()` goes on")
    told.end(
        RunResult(
            ended.status,
            ended.reason,
            ended.state.step,
            model="push_forward" if prepared.pushes else "pull_back",
            seconds=sum(record.seconds for record in ended.state.records),
            cpu_seconds=sum(record.cpu_seconds for record in ended.state.records),
        )
    )
    target = prepared.problem.objective.target
    flow = in_own_units(prepared.flow(ended.state.blocks), target)
    return Solution(flow, ended.state, ended.status, ended.reason, prepared, ended.lower)
