"""Whether the parts of a run fit together, and facts that refute what they claim."""

from __future__ import annotations

import copy
import functools
from collections.abc import Sequence

from wopt.capabilities import Capability, require
from wopt.component import Spec
from wopt.errors import CapabilityError, WoptError
from wopt.host import host
from wopt.interfaces.block import FlowBlock, new_block
from wopt.interfaces.objective import Objective, Sum
from wopt.interfaces.scheme import ProximalScheme

_OF_TARGET = (
    Capability.POTENTIAL | Capability.SCORE | Capability.TARGET_SAMPLES | Capability.NORMALISED
)


def check_parts(
    objective: Objective,
    scheme: ProximalScheme,
    block: Spec | FlowBlock | Sequence[Spec | FlowBlock],
    *,
    log_density: bool,
    dim: int = 2,
    condition: int = 0,
    rounded: bool = False,
    compiled: bool = False,
) -> None:
    """Raise unless target, block and start provide what objective and scheme need."""
    scheme.check(objective)
    if not isinstance(block, Spec | FlowBlock):  # blocks by step, each of which has to fit
        for choice in block:
            check_parts(
                objective, scheme, choice, log_density=log_density, dim=dim, condition=condition,
                rounded=rounded, compiled=compiled,
            )  # fmt: skip
        return
    if condition and not (objective.gap_is_kl and objective.target is not None):
        raise CapabilityError(
            f"conditional flows need an objective that is a mean over particles, and "
            f"{type(objective).__name__} is not one: choose kl, or leave out the source's `context`"
        )
    maps = new_block(block, dim, condition) if isinstance(block, Spec) else block
    start_provides = Capability.LOG_DENSITY if log_density else Capability.NOTHING
    for part in _parts(objective):
        _check_objective(part, maps, start_provides)
    of_block = ~(_OF_TARGET | Capability.LOG_DENSITY)
    provider = f"block {type(maps).__name__}"
    if rounded:
        require("run.precision", Capability.ROUNDED, provider, maps.provides)
    if compiled:
        copy.deepcopy(maps).compile_training(lambda function: function)
    require(f"scheme {type(scheme).__name__}", scheme.needs & of_block, provider, maps.provides)


def _parts(objective: Objective) -> list[Objective]:
    """Return the summands, whose targets may differ."""
    if isinstance(objective, Sum):
        return [leaf for _, part in objective.parts for leaf in _parts(part)]
    return [objective]


def _check_objective(objective: Objective, maps: FlowBlock, start_provides: Capability) -> None:
    target = objective.target.provides if objective.target is not None else Capability.NOTHING
    # An objective without a target might be replaced by one with any target.
    provided = (target or _OF_TARGET) | start_provides | maps.provides
    fits = functools.partial(_fitting, provided)  # it imports every objective: only if asked
    name = f"objective {type(objective).__name__}"
    owner = type(objective.target).__name__ if objective.target is not None else "none given"
    require(name, objective.needs & _OF_TARGET, f"target {owner}", target, fits)
    whom = "this start, known by samples only,"
    require(name, objective.needs & Capability.LOG_DENSITY, whom, start_provides, fits)
    implied = (
        Capability.LOG_DET if Capability.LOG_DENSITY in objective.needs else Capability.NOTHING
    )
    of_block = (objective.needs | implied) & ~(_OF_TARGET | Capability.LOG_DENSITY)
    require(name, of_block, f"block {type(maps).__name__}", maps.provides, fits)


def _fitting(provided: Capability) -> str:
    """Name the registered objectives whose needs are met."""
    registry, fits = host().registry, []
    for entry in registry.entries("objective"):
        try:
            needs: Capability = registry.load("objective", entry.name).needs  # type: ignore[attr-defined]
        except WoptError:
            continue
        if not needs & ~provided:
            fits.append(entry.name)
    return f"objectives that fit: {', '.join(fits)}" if fits else ""


_ERRORS = 5.0


def false_claims(
    objective: Objective, energy: float, error: float, *, start_known: bool
) -> dict[str, str]:
    """Return what to say of claims that an energy refutes by more than five standard errors.

    A declared minimum bounds every energy. So does 0 for the energy of KL where the target says
    NORMALISED and the start's density is known, for the energy is then a divergence.

    Args:
        objective: The objective.
        energy: Its energy on particles that nothing was trained on.
        error: The energy's standard error.
        start_known: Whether the particles' density is known, so that the energy lacks no constant.

    Example:
        >>> class Odd(Objective):
        ...     minimum = 5.0
        ...     def energy(self, particles):
        ...         return particles.mean(particles.points.square().sum(1))
        >>> [list(false_claims(Odd(), e, 0.01, start_known=True)) for e in (0.8, 4.99)]
        [['Odd claims minimum = 5'], []]
    """
    allowed = _ERRORS * error + 1e-6 * (1 + abs(energy))
    remedies, target = dict[str, str](), objective.target
    if objective.minimum is not None and energy < objective.minimum - allowed:
        claim = f"{type(objective).__name__} claims minimum = {objective.minimum:g}"
        remedies[claim] = "Mend it, or set `minimum = None`; `wopt check` tests it"
    normalised = target is not None and Capability.NORMALISED in target.provides
    if normalised and objective.gap_is_kl and start_known and energy < -allowed:
        claim = f"target {type(target).__name__} claims NORMALISED (a divergence of at least 0)"
        remedies[claim] = (
            "exp(-V) integrates to more than one: leave NORMALISED out of `provides`, or add log Z "
            "to V"
        )
    return {
        claim: f"{claim}, and an energy of this run, {energy:.6g} +- {error:.2g}, is below it: the "
        f"claim is false, and so is every bound that uses it. {todo}"
        for claim, todo in remedies.items()
    }
