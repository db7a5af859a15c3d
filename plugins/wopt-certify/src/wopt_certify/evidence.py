"""What a certificate is measured on."""

from __future__ import annotations

import dataclasses

from torch import Tensor

from wopt.data.transform import AffineTransform
from wopt.particles import Particles
from wopt.store.quantity import Quantity

__all__ = ["Evidence"]


@dataclasses.dataclass(frozen=True)
class Evidence:
    """Particles at the start that nothing was trained on, in the flow's coordinates.

    Attributes:
        particles: They.
        origin: Where they come from, in words.
        score: The start's score at the first of them, where it is known.
        transform: The preprocessing.
        smooth_time: Of the smoothing that made the start from the data; 0 for none.
        data: The rows before smoothing, shape ``(n, d)``; the particles' points without it.
        of: Of what KL(p_N | q) tells, the maps being inverted exactly.
        remarks: What was left out of the evidence, and why.
    """

    particles: Particles
    origin: str
    score: Tensor | None
    transform: AffineTransform
    smooth_time: float
    data: Tensor
    of: Quantity = Quantity.KL_DATA_MODEL
    remarks: tuple[str, ...] = ()
