"""Laws of blocks and objectives, for the core's tests and for authors."""

from __future__ import annotations

import copy

import torch
from torch import Tensor

from wopt.capabilities import Capability
from wopt.errors import PluginError, WoptError
from wopt.interfaces import FlowBlock, Objective
from wopt.jacobian import jacobians
from wopt.particles import Particles

_REFINEMENTS = 5


class LawError(WoptError):
    """A component breaks a law of its interface."""


def check_block(
    block: FlowBlock, dim: int, *, condition: int = 0, tolerance: float = 1e-8, seed: int = 0
) -> list[str]:
    """Check a new block against the laws of blocks, in float64; return the names of the laws.

    A discretised map is refined first, so that the exact map is checked.

    Args:
        tolerance: Largest error of log-det and round trip.
        seed: Seed of the points and of the perturbation that makes the map non-trivial.

    Example:
        >>> from wopt_testing import AffineBlock
        >>> check_block(AffineBlock(2), 2)[:3]
        ['identity_when_new', 'shapes', 'log_det_shape']
    """
    rng = torch.Generator().manual_seed(seed)
    sizes = [dim, condition] if condition else [dim]
    x, *c = (torch.randn(7, size, dtype=torch.float64, generator=rng) for size in sizes)
    block = copy.deepcopy(block).double().eval()
    for _ in range(_REFINEMENTS):
        if not block.refine():
            break
    laws = Laws(type(block).__name__, tolerance)
    try:
        with torch.no_grad():
            laws("identity_when_new", _largest(block.move(x, *c) - x))
        for parameter in block.parameters():
            parameter.data += 0.1 * torch.randn(parameter.shape, dtype=torch.float64, generator=rng)
        _check_map(block, x, c, laws)
        _check_log_det(block, x, c, laws)
        _check_inverse(block, x, c, laws)
        _check_other_capabilities(block, x, c, laws)
        _check_state(block, x, c, laws)
    except PluginError as error:  # a method returned a wrong value
        raise LawError(f"{type(block).__name__} breaks shapes: {error}") from None
    return laws.done


class Laws:
    """Records the laws that hold, and raises at the first that does not."""

    def __init__(self, of: str, tolerance: float = 0.0) -> None:
        self.of = of
        self.tolerance = tolerance
        self.done: list[str] = []

    def __call__(self, name: str, error: float, limit: float | None = None) -> None:
        """Check that an error is within a limit, by default the tolerance."""
        limit = self.tolerance if limit is None else limit
        self.holds(name, error <= limit, f": {error:.3g} > {limit:.3g}")

    def holds(self, name: str, fact: bool, how: str = "") -> None:
        """Check that a law holds."""
        if not fact:
            raise LawError(f"{self.of} breaks {name}{how}")
        self.done.append(name)


def _check_map(block: FlowBlock, x: Tensor, c: list[Tensor], law: Laws) -> None:
    y = block.move(x, *c)
    law("shapes", float(y.shape != x.shape), 0)
    if Capability.LOG_DET in block.provides:
        y, log_det = block(x, *c)
        law("log_det_shape", float(log_det.shape != x.shape[:1]), 0)
        (y.square().sum() - log_det.sum()).backward()
    else:
        y.square().sum().backward()
    lacking = [n for n, p in block.named_parameters() if p.grad is None or not p.grad.any()]
    law("gradients_reach_every_parameter", float(len(lacking)), 0)
    with torch.no_grad():
        law("deterministic", _largest(block.move(x, *c) - block.move(x, *c)), 0)
        few = [part[:3] for part in (x, *c)]
        law("rows_are_independent", _largest(block.move(*few) - block.move(x, *c)[:3]), 1e-12)


def _check_log_det(block: FlowBlock, x: Tensor, c: list[Tensor], law: Laws) -> None:
    if Capability.LOG_DET not in block.provides:
        return
    x = x.clone().requires_grad_()
    y, log_det = block(x, *c)
    law("log_det_is_exact", _largest(torch.linalg.slogdet(jacobians(y, x))[1] - log_det))
    with torch.no_grad():
        law("move_equals_forward", _largest(block.move(x, *c) - y))
        law("audit_agrees", _largest(block.audit(x, *c)[1] - log_det), 1e-3)


@torch.no_grad()
def _check_inverse(block: FlowBlock, x: Tensor, c: list[Tensor], law: Laws) -> None:
    if Capability.INVERSE not in block.provides:
        return
    back, log_inverse = block.inverse(block.move(x, *c), *c)
    law("inverse_returns", _largest(back - x))
    if Capability.LOG_DET in block.provides:
        law("inverse_log_det", _largest(log_inverse + block(x, *c)[1]))


def _check_other_capabilities(block: FlowBlock, x: Tensor, c: list[Tensor], law: Laws) -> None:
    if Capability.ACTION in block.provides:
        with torch.no_grad():
            z, _, action = block.forward_with_action(x, *c)
            excess = (z - x).square().sum(1) - action
            law("action_bounds_displacement", float(excess.max()), 1e-6)
    x = x.clone().requires_grad_()
    if Capability.HALF_WAY in block.provides:
        m, log_det = block.half_way(x, *c)
        law("half_way_point", _largest(m - (x + block.move(x, *c)) / 2))
        law("half_way_log_det", _largest(torch.linalg.slogdet(jacobians(m, x))[1] - log_det))
    if Capability.VELOCITY in block.provides:
        u, divergence = block.velocity(x, *c)
        trace = jacobians(u, x).diagonal(dim1=1, dim2=2).sum(1)
        law("divergence_is_exact", _largest(trace - divergence))


def _check_state(block: FlowBlock, x: Tensor, c: list[Tensor], law: Laws) -> None:
    other = copy.deepcopy(block)
    for parameter in other.parameters():
        parameter.data.zero_()
    other.load_state_dict(block.state())
    with torch.no_grad():
        law("saves_and_loads", _largest(other.move(x, *c) - block.move(x, *c)), 0)
        single = copy.deepcopy(block).float()
        law(
            "float32",
            _largest(single.move(*(part.float() for part in (x, *c))).double() - block.move(x, *c)),
            1e-3,
        )


def check_objective(
    objective: Objective, particles: Particles, *, tolerance: float = 1e-6, seed: int = 0
) -> list[str]:
    """Check an objective's energy and its derivatives at some particles, in float64.

    Args:
        particles: Particles with all that the objective needs.
        tolerance: Largest relative error of the derivative against finite differences.
    """
    rng = torch.Generator().manual_seed(seed)
    law = Laws(type(objective).__name__, tolerance)
    try:
        energy = objective.energy(particles)
    except PluginError as wrong:  # it returned a wrong value
        raise LawError(f"{law.of} breaks shapes: {wrong}") from None
    law("energy_is_a_scalar", float(energy.ndim), 0)
    law("energy_is_deterministic", float((objective.energy(particles) - energy).abs()), 0)
    total = sum(float(v) for v in objective.terms(particles).values())
    scale = max(1.0, abs(float(energy)))
    law("terms_add_up", abs(total - float(energy)) / scale)
    values = objective.contributions(particles)
    if values is not None:
        law("contributions_average", float((particles.mean(values) - energy).abs()) / scale)
    # Along (id + t B) with a random matrix B the log-det is known.
    b = 0.3 * torch.randn(particles.dim, particles.dim, dtype=torch.float64, generator=rng)

    def along(t: float) -> Tensor:
        """Return the energy, shape ``()``, of the image under id + t B."""
        a = torch.eye(particles.dim, dtype=torch.float64) + t * b
        log_det = torch.linalg.slogdet(a)[1].expand(len(particles))
        return objective.energy(particles.moved(particles.points @ a.T, log_det))

    points = particles.points.clone().requires_grad_()
    log_det = particles.log_det.clone().requires_grad_() if particles.log_det is not None else None
    value = objective.energy(
        Particles(points, particles.weights, log_det, particles.log_density_start)
    )
    inputs = [points] if log_det is None else [points, log_det]
    gradients = torch.autograd.grad(value, inputs, allow_unused=True, materialize_grads=True)
    slope = (gradients[0] * (particles.points @ b.T)).sum()
    if log_det is not None:
        slope = slope + gradients[1].sum() * torch.trace(b)
    h = 1e-4
    numeric = (8 * (along(h) - along(-h)) - (along(2 * h) - along(-2 * h))) / (12 * h)
    error = float((slope - numeric).abs()) / max(1.0, abs(float(numeric)))
    law("derivative_matches_differences", error)
    return law.done


def _largest(x: Tensor) -> float:
    return float(x.detach().abs().max())
