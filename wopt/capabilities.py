"""Capabilities that parts need and provide, as data that is checked before any work."""

from __future__ import annotations

import enum
from collections.abc import Callable

from wopt.errors import CapabilityError


class Capability(enum.Flag):
    """One capability; sets of them are joined by ``|``.

    Example:
        >>> (Capability.POTENTIAL | Capability.LOG_DET).describe()
        'POTENTIAL, LOG_DET'
    """

    NOTHING = 0
    POTENTIAL = enum.auto()
    """The target's potential V = -log density, up to a constant."""
    SCORE = enum.auto()
    """The target's score, the gradient of its log-density."""
    TARGET_SAMPLES = enum.auto()
    """Samples of the target."""
    NORMALISED = enum.auto()
    """The target's potential includes its constant: exp(-V) integrates to one."""
    LOG_DET = enum.auto()
    """log |det DT| of the block."""
    LOG_DENSITY = enum.auto()
    """The log-density of the particles, which needs the start's density."""
    INVERSE = enum.auto()
    """The block's inverse map."""
    ACTION = enum.auto()
    """The block's action E int |v|^2 dt, an upper bound of the squared displacement."""
    HALF_WAY = enum.auto()
    """The map (id + T)/2 of the block with its log-det."""
    VELOCITY = enum.auto()
    """A block whose displacement can be read as a velocity, with its divergence."""
    FIELD = enum.auto()
    """A block that is the flow, for unit time, of a velocity field v(t, x)."""
    CONDITION = enum.auto()
    """A block that leaves the last coordinates unchanged and moves the others given them."""
    ROUNDED = enum.auto()
    """A block whose nets are trained in ``run.precision``, its log-dets being float32 ones."""

    def describe(self) -> str:
        """Return the names, in order."""
        return ", ".join(str(flag.name) for flag in Capability if flag in self) or "NOTHING"


_WHO = {
    Capability.POTENTIAL: "give a target known by its potential",
    Capability.SCORE: "give a target known by its score",
    Capability.TARGET_SAMPLES: "give a target known by samples",
    Capability.NORMALISED: "give a target whose normalising constant is known",
    Capability.LOG_DET: "choose a block that provides LOG_DET",
    Capability.LOG_DENSITY: "start from a source whose density is known",
    Capability.INVERSE: "choose a block that provides INVERSE",
    Capability.ACTION: 'choose a block that provides ACTION, or transport = "displacement"',
    Capability.HALF_WAY: "choose a block that provides HALF_WAY",
    Capability.VELOCITY: "choose a block that provides VELOCITY",
    Capability.FIELD: "choose a block that is the flow of a field, such as ode",
    Capability.CONDITION: "choose a block that provides CONDITION, such as ode",
    Capability.ROUNDED: "leave run.precision out, or choose a block that provides ROUNDED, such as "
    "ode",
}


def require(
    who: str,
    needs: Capability,
    whom: str,
    provides: Capability,
    alternatives: Callable[[], str] | None = None,
) -> None:
    """Raise unless ``provides`` covers ``needs``."""
    missing = [flag for flag in Capability if flag in needs and flag not in provides]
    if missing:
        advice = alternatives() if alternatives else ""
        names = ", ".join(str(flag.name) for flag in missing)
        todo = "; ".join(_WHO[flag] for flag in missing)
        raise CapabilityError(
            f"{who} needs {names}, and {whom} does not give it: {todo}"
            + (f"; {advice}" if advice else "")
        )
