"""solve and fit: the loop run to its end, from Python."""

from __future__ import annotations

import dataclasses
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from wopt.certify.certificate import make_certificate
from wopt.certify.certifier import Certifier
from wopt.certify.evidence import Evidence
from wopt.component import Spec, build, named
from wopt.data.dataset import check_finite, split
from wopt.data.transform import AffineTransform
from wopt.errors import DataError, DivergenceError
from wopt.flow import Flow
from wopt.interfaces.block import FlowBlock
from wopt.particles import Particles
from wopt.train.check import check_parts
from wopt.interfaces.conditional import conditional
from wopt.train.guard import Guard
from wopt.train.iterate import iterate
from wopt.train.problem import Problem, Progress, State
from wopt.train.record import StepRecord
from wopt.train.solver import InnerSolver
from wopt.train.stop import Stop

__all__ = ["Solution", "fit", "solve"]


@dataclasses.dataclass(frozen=True)
class Solution:
    """What a solve leaves.

    Attributes:
        flow: The model made of the accepted steps.
        state: The last state: where the particles stand.
        history: A record a step.
        status: ``"done"``, or ``"failed"`` when a step was rejected for good.
        reason: Why it ended.
        problem: What was solved.
        start: The held-out particles before the first step.
    """

    flow: Flow
    state: State
    history: tuple[StepRecord, ...]
    status: Literal["done", "failed"]
    reason: str
    problem: Problem
    start: Particles

    def certificate(self, particles: Particles | None = None, **options: Any) -> dict[str, Any]:
        """Measure what the flow guarantees, as ``wopt certify`` does of a run.

        Args:
            particles: Of the start, not trained on; the held-out ones by default, which steps
                were accepted on but not fitted to.
            options: Of :class:`~wopt.certify.certifier.Certifier`.

        Returns:
            What ``certificate.json`` would hold.

        Raises:
            UserError: There is no step.

        Example:
            >>> import wopt
            >>> x = torch.randn(600, 1, generator=torch.Generator().manual_seed(0)) + 2
            >>> found = wopt.fit(x, block="affine", preprocess="none", stop=wopt.Stop(steps=1),
            ...     solver=wopt.InnerSolver(iterations=50))
            >>> made = found.certificate(iterations=0, transport_rows=0)
            >>> made["steps"][0]["residual"]["by"], made["lambda"]
            ('affine', 1.0)
        """
        at = self.start if particles is None else particles
        origin = "held-out particles" if particles is None else "particles that were given"
        evidence = Evidence(at, origin, None, self.flow.transform, 0.0, at.points)
        blocks: list[Any] = list(self.flow.blocks)
        return make_certificate(self.problem, blocks, self.history, evidence, Certifier(**options))


def solve(
    train: Particles,
    *,
    objective: Any = named("kl"),
    scheme: Any = named("jko"),
    block: Any = named("ode"),
    valid: Particles | None = None,
    solver: InnerSolver | None = None,
    guard: Guard | None = None,
    stop: Stop | None = None,
    seed: int = 0,
    transform: AffineTransform | None = None,
    progress: Progress | None = None,
) -> Solution:
    """Minimise an objective from the particles ``train``.

    Args:
        train: The particles at the start; with conditions, the objective is that of the law of the
            other coordinates given them.
        objective: An instance, a name, or a table with ``name`` and options.
        scheme: Likewise.
        block: Likewise; an instance is copied for every step.
        valid: Held-out particles, which accept or reject steps; without them ``train`` serves,
            which is right for quadrature nodes.
        solver: The inner solver.
        guard: What a step must satisfy.
        stop: When to stop.
        seed: Of all random draws.
        transform: The preprocessing that was applied to the particles, for the model's units.
        progress: Told of the work.

    Returns:
        The solution, also when a step was rejected for good (``status`` says so).

    Raises:
        UserError: Options or parts cannot be used.

    Example:
        >>> import wopt
        >>> from wopt.testing import AffineBlock, gaussian_kl, gaussian_nodes, jko_step, moments
        >>> m, c = torch.ones(2).double(), 4 * torch.eye(2).double()
        >>> found = wopt.solve(gaussian_nodes(m, c), scheme={"name": "jko", "step_size": 0.5},
        ...     block=AffineBlock(2), solver=wopt.InnerSolver(optimiser="lbfgs"),
        ...     stop=wopt.Stop(steps=1))
        >>> exact = jko_step(m, c, 0 * m, torch.eye(2).double(), 0.5)
        >>> bool(torch.allclose(moments(found.state.train.particles)[1], exact[1], atol=1e-6))
        True
    """
    chosen: Spec | FlowBlock = build("block", block)
    what = build("objective", objective)
    if train.condition:
        what = conditional(what, train.points[:, train.dim - train.condition :].cpu())
    problem = Problem(
        what,
        build("scheme", scheme),
        chosen,
        solver or InnerSolver(),
        guard or Guard(),
        stop or Stop(),
        seed,
        transform.log_det if transform else 0.0,
    )
    known = train.log_density_start is not None
    check_parts(
        problem.objective,
        problem.scheme,
        chosen,
        log_density=known,
        dim=train.dim,
        condition=train.condition,
    )
    state = problem.begin(train, valid)
    begun = state.valid.particles
    blocks: list[FlowBlock] = []
    status: Literal["done", "failed"] = "done"
    reason = ""
    try:
        for after, record in iterate(problem, state, progress):
            assert after.block is not None
            blocks.append(after.block)
            state, reason = after, record.stop or ""
    except DivergenceError as error:
        status, reason = "failed", str(error)
    units = transform or AffineTransform.fit(train.points.cpu(), "none")
    flow = Flow(blocks, problem.objective.target, units)
    return Solution(flow, state, state.records, status, reason, problem, begun)


def fit(
    x: Tensor | NDArray[Any],
    *,
    conditions: Tensor | NDArray[Any] | None = None,
    preprocess: Literal["none", "standardise", "whiten"] = "whiten",
    held_out: float = 0.1,
    dtype: torch.dtype = torch.float32,
    device: str = "cpu",
    seed: int = 0,
    **options: Any,
) -> Solution:
    """Fit a generative model to rows of data: the three-line way in.

    Args:
        x: Data, shape ``(n, d)``.
        conditions: What the model is conditioned on, shape ``(n, c)``: it is then the law of x
            given them, and they are the last columns of its rows.
        preprocess: What is done to the columns first; part of the model.
        held_out: Share of rows that accept or reject steps.
        dtype: Of the particles and maps.
        device: Where to train.
        seed: Of all random draws.
        options: Passed on to :func:`solve`.

    Raises:
        DataError: The data cannot be used.

    Example:
        >>> import wopt
        >>> x = torch.randn(600, 2, generator=torch.Generator().manual_seed(0)) * 3 + 1
        >>> found = wopt.fit(x, block={"name": "ode", "width": 8}, stop=wopt.Stop(steps=1),
        ...     solver=wopt.InnerSolver(iterations=20))
        >>> found.status, found.flow.sample(4).shape
        ('done', torch.Size([4, 2]))
    """
    rows = torch.as_tensor(np.asarray(x), dtype=torch.float64)
    if rows.ndim != 2:
        raise DataError(f"fit takes rows, shape (n, d); got shape {tuple(rows.shape)}")
    condition = 0
    if conditions is not None:
        given = torch.as_tensor(np.asarray(conditions), dtype=torch.float64)
        if given.ndim != 2 or len(given) != len(rows):
            raise DataError(
                f"conditions are rows beside x, shape ({len(rows)}, c); got {tuple(given.shape)}"
            )
        rows, condition = torch.cat([rows, given], dim=1), given.shape[1]
    check_finite(rows, tuple(f"x{j}" for j in range(rows.shape[1])), "x")
    train, valid = split(rows, (1 - held_out, held_out), seed)
    transform = AffineTransform.fit(train, preprocess, condition=condition)

    def placed(part: Tensor) -> Particles:
        found = Particles.start(transform.forward(part).to(dtype=dtype, device=device))
        return dataclasses.replace(found, condition=condition)

    return solve(placed(train), valid=placed(valid), seed=seed, transform=transform, **options)
