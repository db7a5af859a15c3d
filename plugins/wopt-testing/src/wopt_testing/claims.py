"""What an objective claims, tested: its convexity, its minimum, its needs."""

from __future__ import annotations

import dataclasses
import math

import torch
from torch import Tensor

from wopt.capabilities import Capability
from wopt.errors import WoptError
from wopt.interfaces import Objective, Target
from wopt.particles import Particles
from wopt.statistics import mean_and_error
from wopt_testing.checks import LawError

_BUMPS = 3


@dataclasses.dataclass(frozen=True)
class ConvexMap:
    """The gradient of a convex function: T(z) = A A^T z + b + sum_k c_k^2 tanh(w_k z + o_k) w_k.

    It is an optimal map from any law. Between two of them (1 - t) T_0 + t T_1 is the generalised
    geodesic with the law of z as its base.

    Attributes:
        a: Shape ``(d, d)``.
        b: Shape ``(d,)``.
        c, o: Shapes ``(k,)``.
        w: Shape ``(k, d)``.
    """

    a: Tensor
    b: Tensor
    c: Tensor
    o: Tensor
    w: Tensor

    @classmethod
    def draw(cls, dim: int, scale: float, rng: torch.Generator) -> ConvexMap:
        """Return a random map that stretches by about ``scale`` and shifts by up to twice that."""

        def normal(*shape: int) -> Tensor:
            """Return normal numbers of this shape."""
            return torch.randn(*shape, dtype=torch.float64, generator=rng)

        root = scale**0.5
        a = root * (torch.eye(dim, dtype=torch.float64) + 0.3 * normal(dim, dim))
        return cls(
            a, scale * normal(dim), root * normal(_BUMPS), normal(_BUMPS), normal(_BUMPS, dim)
        )

    @property
    def parameters(self) -> list[Tensor]:
        """All tensors of the map, in the order and shapes of the attributes."""
        return [self.a, self.b, self.c, self.o, self.w]

    def __call__(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Return T(z), ``(n, d)``, and its Jacobians, ``(n, d, d)``, positive semi-definite."""
        bump = torch.tanh(z @ self.w.T + self.o)
        linear = self.a @ self.a.T
        y = z @ linear + self.b + (self.c.square() * bump) @ self.w
        slope = self.c.square() * (1 - bump.square())
        return y, linear + torch.einsum("nk,ki,kj->nij", slope, self.w, self.w)


def normal_particles(n: int, dim: int, rng: torch.Generator) -> Particles:
    """Return draws of N(0, I) with their density."""
    z = torch.randn(n, dim, dtype=torch.float64, generator=rng)
    law = torch.distributions.Normal(torch.zeros(dim).double(), torch.ones(dim).double())
    return Particles.start(z, log_density=law.log_prob(z).sum(1))


def displaced(base: Particles, first: ConvexMap, second: ConvexMap, t: float) -> Particles:
    """Return the particles at time t of the generalised geodesic, with their log_det.

    Example:
        >>> rng = torch.Generator().manual_seed(0)
        >>> base = normal_particles(3, 1, rng)
        >>> one = ConvexMap.draw(1, 1.0, rng)
        >>> torch.allclose(displaced(base, one, one, 0.3).points, one(base.points)[0])
        True
    """
    (x, at), (y, to) = first(base.points), second(base.points)
    jacobian = (1 - t) * at + t * to
    return base.moved((1 - t) * x + t * y, torch.linalg.slogdet(jacobian)[1])


_PAIRS, _PARTICLES_OF_ENERGIES = 24, 60
_SCALES = (0.3, 1.0, 0.6, 2.0)
_TIMES = (0.25, 0.5, 0.75)
_LAWS, _ROWS, _DESCENT = 10, 200, 40
_ERRORS = 5.0


def check_convexity(objective: Objective, dim: int, *, seed: int = 0) -> list[str]:
    """Check declared convexity along generalised geodesics between random laws.

        G(rho_t) <= (1 - t) G(rho_0) + t G(rho_1) - lambda t (1 - t) |T_0 - T_1|^2 / 2.

    The laws are images of one set of normal particles under gradients of convex functions, so all
    terms are means over the same particles, and sampling noise cancels.

    Nothing is checked unless it declares a convexity.
    """
    claimed = objective.convexity
    if claimed is None:
        return []
    rng = torch.Generator().manual_seed(seed)
    for pair in range(_PAIRS):
        base = normal_particles(_PARTICLES_OF_ENERGIES, dim, rng)
        first, second = (
            ConvexMap.draw(dim, _SCALES[(pair + k) % len(_SCALES)], rng) for k in (0, pair // 4)
        )
        ends = [displaced(base, first, second, t) for t in (0.0, 1.0)]
        g = [float(objective.energy(end)) for end in ends]
        distance = float((ends[0].points - ends[1].points).square().sum(1).mean())
        for t in _TIMES:
            energy = float(objective.energy(displaced(base, first, second, t)))
            chord = (1 - t) * g[0] + t * g[1] - claimed * t * (1 - t) * distance / 2
            scale = 1 + abs(energy) + abs(g[0]) + abs(g[1]) + abs(claimed) * distance
            if math.isfinite(chord) and energy > chord + 1e-7 * scale:
                raise LawError(
                    f"{type(objective).__name__} declares convexity {claimed:g}, and at t = {t:g} "
                    f"of a geodesic between two laws in {dim} dimension(s) its energy is "
                    f"{energy:.6g}, above {chord:.6g}, the most that this allows"
                )
    return [f"convexity_is_{claimed:g}"]


def check_minimum(objective: Objective, dim: int, *, seed: int = 0) -> list[str]:
    """Check that no random law, and no descent, has an energy below the declared minimum.

    Descent changes the parameters of a map, and the energy is evaluated on other particles, with
    five standard errors for their noise.

    Nothing is checked unless it declares a minimum.
    """
    claimed = objective.minimum
    if claimed is None:
        return []
    rng = torch.Generator().manual_seed(seed + 1)
    maps = [ConvexMap.draw(dim, _SCALES[k % len(_SCALES)], rng) for k in range(_LAWS)]
    base = normal_particles(_ROWS, dim, rng)
    best = min(maps, key=lambda one: _finite_energy(objective, displaced(base, one, one, 0)))
    maps.append(_descend(objective, base, best))
    for one in maps:
        fresh = normal_particles(_ROWS, dim, rng)
        at = displaced(fresh, one, one, 0.0)
        energy = float(objective.energy(at))
        if energy >= claimed:
            continue
        allowance = _ERRORS * _standard_error(objective, at) + 1e-6 * (1 + abs(claimed))
        if energy < claimed - allowance:
            raise LawError(
                f"{type(objective).__name__} declares minimum {claimed:g}, and a law in {dim} "
                f"dimension(s) has energy {energy:.6g}"
            )
    return [f"minimum_is_{claimed:g}"]


def _descend(objective: Objective, base: Particles, first: ConvexMap) -> ConvexMap:
    """Return the map after a few steps of Adam on the energy."""
    parameters = [p.clone().requires_grad_() for p in first.parameters]
    optimiser = torch.optim.Adam(parameters, lr=0.05)
    for _ in range(_DESCENT):
        one = ConvexMap(*parameters)
        energy = objective.energy(displaced(base, one, one, 0.0))
        if not bool(torch.isfinite(energy)):
            break
        optimiser.zero_grad()
        energy.backward()
        optimiser.step()
    return ConvexMap(*(p.detach() for p in parameters))


def _finite_energy(objective: Objective, at: Particles) -> float:
    value = float(objective.energy(at))
    return value if math.isfinite(value) else math.inf


def _standard_error(objective: Objective, at: Particles) -> float:
    """Return the energy's standard error, by contributions or by five groups of particles."""
    values = objective.contributions(at)
    if values is not None:
        return mean_and_error(values).error
    groups = [objective.energy(at.rows(slice(k, None, 5))) for k in range(5)]
    return mean_and_error(torch.stack(groups)).error


class Restricted(Target):
    """Another target of which only some capabilities can be used.

    Args:
        of: The target.
        needs: The capabilities that can be used.

    Example:
        >>> from wopt_testing import NormalTarget
        >>> q = Restricted(NormalTarget([0.0], [[1.0]]), Capability.SCORE)
        >>> q.potential(torch.zeros(1, 1))
        Traceback (most recent call last):
        ...
        wopt.errors.CapabilityError: target Restricted does not provide POTENTIAL; it provides SCORE
    """

    def __init__(self, of: Target, needs: Capability) -> None:
        self.of = of
        self.provides = of.provides & needs
        self.dim = of.dim
        self.convexity = of.convexity
        self.smoothness = of.smoothness

    def potential(self, x: Tensor) -> Tensor:
        """Return the target's potential, shape ``(n,)``, if that is allowed."""
        return self._of(Capability.POTENTIAL).potential(x)

    def score(self, x: Tensor) -> Tensor:
        """Return the target's score, shape ``(n, d)``, if that or the potential is allowed."""
        if Capability.POTENTIAL in self.provides:
            return self.of.score(x)
        return self._of(Capability.SCORE).score(x)

    def sample(self, n: int, dim: int, rng: torch.Generator) -> Tensor:
        """Return samples of the target, shape ``(n, d)``, if these are allowed."""
        return self._of(Capability.TARGET_SAMPLES).sample(n, dim, rng)

    def _of(self, need: Capability) -> Target:
        if need not in self.provides:
            raise self._lacks(need)
        return self.of


_PARTICLES_OF_NEEDS = 60


def check_needs(objective: Objective, dim: int, *, seed: int = 0) -> list[str]:
    """Check that the energy uses no more than the objective declares that it needs.

    The energy is evaluated without log_det or density if these are not declared, and with a target
    that provides only the declared capabilities.
    """
    rng = torch.Generator().manual_seed(seed + 2)
    one = ConvexMap.draw(dim, 1.0, rng)
    at = displaced(normal_particles(_PARTICLES_OF_NEEDS, dim, rng), one, one, 0.0)
    needs, name = objective.needs, type(objective).__name__
    bare, what = at, ""
    if Capability.LOG_DENSITY not in needs:
        bare, what = dataclasses.replace(bare, log_density_start=None), "the start's log-density"
        if Capability.LOG_DET not in needs:
            bare, what = dataclasses.replace(bare, log_det=None), "log_det"
    if what:
        _same_without(objective, at, bare, what)
    target = objective.target
    if target is not None and "target" in objective.options:
        try:
            narrow = objective.with_options(target=Restricted(target, needs))
        except WoptError:  # its constructor needs a target of another type
            return ["needs_are_declared"]
        try:
            narrow.energy(at)
        except WoptError as error:
            raise LawError(
                f"{name} needs {needs.describe()} by its declaration, and its energy asks the "
                f"target for more: {error}"
            ) from error
    return ["needs_are_declared"]


def _same_without(objective: Objective, at: Particles, bare: Particles, what: str) -> None:
    """Raise if the energy fails without ``what``, or changes by more than a constant."""
    name = type(objective).__name__
    said = f"{name} needs {objective.needs.describe()} by its declaration, and its energy"
    try:
        without = float(objective.energy(bare))
    except Exception as error:  # any type: a None in place of a tensor, say
        raise LawError(f"{said} fails without {what}: {type(error).__name__}: {error}") from error
    # With another density at the same points only a constant may change, the start's entropy.
    tilted = at.moved(at.points, at.points[:, 0])
    energies = [float(objective.energy(particles)) for particles in (at, tilted)]
    if Capability.LOG_DET in objective.needs:
        log_density = at.log_density_start
        assert log_density is not None
        other = dataclasses.replace(bare, log_det=tilted.log_det)
        change = float(objective.energy(other)) - without
    else:
        change = 0.0
    difference = energies[1] - energies[0] - change
    if abs(difference) > 1e-9 * (1 + abs(energies[0])):
        raise LawError(f"{said} depends on {what}: it changes by {difference:.3g} with it")


def check_claims(objective: Objective, *, seed: int = 0) -> list[str]:
    """Check the properties that an objective declares: convexity, minimum, needs.

    A claim that passes is not proved, and one that fails is false.

    Example:
        >>> import wopt
        >>> check_claims(wopt.build("objective", "kl"))
        ['needs_are_declared', 'convexity_is_1']
    """
    target = objective.target
    bound = objective.dim if target is None else target.dim
    dims = (1, 2) if bound is None else (bound,)
    done = []
    for dim in dims:
        checked = [
            *check_needs(objective, dim, seed=seed),
            *check_convexity(objective, dim, seed=seed),
            *check_minimum(objective, dim, seed=seed),
        ]
        done += [law for law in checked if law not in done]
    return done
