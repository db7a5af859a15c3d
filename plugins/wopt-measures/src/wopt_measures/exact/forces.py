"""The parts of an objective, with weights, as far as exact solutions treat them."""

from __future__ import annotations

import dataclasses
from typing import Any

import torch
from torch import Tensor

from wopt import ConfigError, Law, Objective, Source, Sum
from wopt.component import name_of
from wopt_measures.laws.gaussian import GaussianLaw

_KNOWN = (
    "kl and potential of a Gaussian target, entropy, internal, interaction (quadratic, log, or "
    "newtonian in the plane), and sums of these"
)


@dataclasses.dataclass
class Forces:
    """The parts of an objective, with their total weights.

    Attributes:
        precision: Matrix A, shape ``(d, d)``: the potential is x^T A x/2 - b^T x.
        linear: Vector b, shape ``(d,)``.
        entropy: Weight of int rho log rho.
        internal: Weight of int rho^m/(m - 1) and m, or ``None``.
        attraction: Coefficient a of the interaction a |x - x'|^2/2.
        logarithm: Coefficient a of the interaction -a log |x - x'|.
    """

    precision: Tensor
    linear: Tensor
    entropy: float = 0.0
    internal: tuple[float, float] | None = None
    attraction: float = 0.0
    logarithm: float = 0.0

    def pull(self, who: str) -> float:
        """Return k where the potential is k |x|^2/2."""
        d = len(self.linear)
        k = float(self.precision.trace()) / d
        same = torch.allclose(self.precision, k * torch.eye(d).double(), atol=1e-9)
        if not same or float(self.linear.abs().max()) > 1e-9:
            raise ConfigError(
                f"[exact] {who}: the potential has to be k |x|^2/2, with one k for all directions "
                "and no shift"
            )
        return k


def forces_of(objective: Objective, dim: int, who: str) -> Forces:
    """Return the parts of an objective."""
    forces = Forces(torch.zeros(dim, dim).double(), torch.zeros(dim).double())
    for weight, part in _parts(objective):
        name = name_of(part)
        if name in ("kl", "potential") and isinstance(_law(part.target), GaussianLaw):
            _add_potential(forces, weight, _law(part.target), dim)
            forces.entropy += weight if name == "kl" else 0.0
        elif name == "entropy":
            forces.entropy += weight
        elif name == "internal" and forces.internal is None:
            forces.internal = (weight, part.options["m"])
        elif name == "interaction" and _add_interaction(forces, weight, part, dim):
            pass
        else:
            raise ConfigError(f"[exact] {who} does not treat the objective {name}, but: {_KNOWN}")
    return forces


def start_of(source: Source, who: str, kinds: tuple[type, ...], words: str) -> Any:
    """Return the law in closed form of a start."""
    law = _law(source)
    if not isinstance(law, kinds):
        raise ConfigError(
            f"[exact] {who} starts from {words}, and the source is {name_of(source)}; choose a "
            "source gaussian, mixture or density with such a law"
        )
    return law


def _law(part: Any) -> Any:
    return part if isinstance(part, Law) else getattr(part, "law", None)


def _parts(objective: Objective) -> list[tuple[float, Objective]]:
    if not isinstance(objective, Sum):
        return [(1.0, objective)]
    return [(w * v, leaf) for w, part in objective.parts for v, leaf in _parts(part)]


def _add_potential(forces: Forces, weight: float, law: GaussianLaw, dim: int) -> None:
    precision = weight * torch.linalg.inv(law.covariance(dim))
    forces.precision = forces.precision + precision
    forces.linear = forces.linear + precision @ law.mean.expand(dim)


def _add_interaction(forces: Forces, weight: float, part: Objective, dim: int) -> bool:
    options: dict[str, Any] = part.options
    strength = weight * options["strength"]
    if options["kernel"] == "quadratic":
        forces.attraction += strength
    elif options["kernel"] == "log":
        forces.logarithm += strength
    elif options["kernel"] == "newtonian" and dim == 2:
        forces.logarithm += strength / (2 * torch.pi)
    else:
        return False
    return True
