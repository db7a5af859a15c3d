"""Refutation: upper bounds below a known lower limit are marked as refuted."""

from __future__ import annotations

import dataclasses
import math
import statistics
from collections.abc import Mapping, Sequence

from torch import Tensor

from wopt_certify.bounds import Entry, Floor, StepBounds, with_transport_entropy

__all__ = ["LOCAL", "later_fall", "refute"]

LOCAL = {"theorem_q", "log_sobolev", "moments", "transport_entropy"}
"""Bounds that use one step alone: refuted at one, they may hold at another."""


def later_fall(now: Tensor | None, end: Tensor | None, level: float) -> Floor | None:
    """Return a lower limit of the energy's fall from a step to the end of the run.

        G(p_n) - min G >= G(p_n) - G(p_N),

    the mean fall of the particles' contributions, with a one-sided interval; in the energy's unit.

    Args:
        now: Contributions after step n, shape ``(m,)``.
        end: Contributions of the same particles after the last step, shape ``(m,)``.
        level: Confidence of the interval.

    Example:
        >>> import torch
        >>> later_fall(torch.ones(4), torch.zeros(4), 0.95).value
        1.0
    """
    if now is None or end is None:
        return None
    fall = (now - end).double()
    error = float(fall.std()) / math.sqrt(len(fall))
    low = float(fall.mean()) - statistics.NormalDist().inv_cdf(level) * error
    return Floor(low, "the run's own later fall of the energy") if low > 0 else None


def refute(
    bounds: Sequence[StepBounds], floors: Sequence[Sequence[Floor | None]], pl: float
) -> list[StepBounds]:
    """Return the bounds with the refuted ones marked.

    A bound along the run that is refuted after one step stays so after all later ones, which use
    the same errors; the bound of the distance by the same name is refuted with it.

    Args:
        bounds: The bounds after each step.
        floors: Known lower limits of the gap after each step.
        pl: The log-Sobolev constant, for the distance that follows from the best bound.
    """
    judged, earlier = list[StepBounds](), dict[str, Floor]()
    for step, (row, known) in enumerate(zip(bounds, floors, strict=True), 1):
        # Facts come before estimates, and larger ones first.
        order = sorted((f for f in known if f), key=lambda f: (f.estimated, -f.value))
        reported = {name: why for name, why in earlier.items() if row.gap[name].value is not None}
        for name, entry in row.gap.items():
            why = next((floor for floor in order if floor.refutes(entry)), None)
            if why is not None and name not in reported:
                reported[name] = why
                if name not in LOCAL:
                    earlier[name] = dataclasses.replace(why, step=step)
        marked = StepBounds(_marked(row.gap, reported), _marked(row.w2, reported))
        judged.append(with_transport_entropy(marked, pl))
    return judged


def _marked(entries: Mapping[str, Entry], reported: Mapping[str, Floor]) -> dict[str, Entry]:
    return {
        name: dataclasses.replace(entry, refuted=reported[name])
        if name in reported and entry.value is not None
        else entry
        for name, entry in entries.items()
    }
