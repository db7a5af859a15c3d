"""The particles on which a certificate is measured."""

from __future__ import annotations

import dataclasses

from torch import Tensor

from wopt.data.transform import AffineTransform
from wopt.particles import Particles
from wopt.store.gap_kind import GapKind

__all__ = ["EvaluationData"]


@dataclasses.dataclass(frozen=True)
class EvaluationData:
    """Particles at the start that nothing was trained on, in the flow's coordinates.

    Attributes:
        particles: The particles.
        origin: The source of the particles, in words.
        score: The start's score at the first m of them, shape ``(m, d)``; ``None`` if unknown.
        transform: The preprocessing.
        smooth_time: Time of the smoothing that made the start from the data; 0 for none.
        data: The rows before smoothing, shape ``(n, d)``; the particles' points without it.
        of: The quantity that KL(p_N | q) equals if the maps are inverted exactly.
        remarks: The parts left out of the evidence, with reasons.
    """

    particles: Particles
    origin: str
    score: Tensor | None
    transform: AffineTransform
    smooth_time: float
    data: Tensor
    of: GapKind = GapKind.KL_DATA_MODEL
    remarks: tuple[str, ...] = ()
