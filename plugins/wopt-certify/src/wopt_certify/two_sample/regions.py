"""Regions where rows and samples differ most clearly, by a classifier."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from wopt.typed import Typed
from wopt_certify.two_sample.classifier import ClassifierOutput

__all__ = ["Region", "regions_of"]

_SHARE = 0.1
_COLUMNS = 5


@dataclasses.dataclass(frozen=True)
class Region(Typed):
    """The tenth of rows and samples that the classifier most clearly assigns to one of them.

    Attributes:
        favours: ``rows``: the model has too little mass there; ``samples``: too much.
        rows_share, samples_share: The fractions of the rows, and of the samples, in the region.
        error: Standard error of their difference.
        centre: The median of the region's points, in the data's units, shape ``(d,)``.
        columns: The columns in which the centre is furthest from the median of all, with the
            distance in standard deviations.
    """

    favours: Literal["rows", "samples"]
    rows_share: float
    samples_share: float
    error: float
    centre: tuple[float, ...]
    columns: tuple[tuple[str, float], ...]


def regions_of(judged: ClassifierOutput, names: Sequence[str]) -> tuple[Region, ...]:
    """Return the region that lacks samples, and the one that has too many.

    Args:
        judged: Rows and samples that the classifier was not trained on, and its logits there.
        names: Names of the columns.
    """
    pooled = torch.cat([judged.row_logits, judged.sample_logits])
    high, low = pooled.quantile(1 - _SHARE), pooled.quantile(_SHARE)
    lacking = (judged.row_logits >= high, judged.sample_logits >= high)
    excess = (judged.row_logits <= low, judged.sample_logits <= low)
    regions = []
    if bool(lacking[0].any()):
        regions.append(_region("rows", judged, *lacking, names))
    if bool(excess[1].any()):
        regions.append(_region("samples", judged, *excess, names))
    return tuple(regions)


def _region(
    favours: Literal["rows", "samples"],
    judged: ClassifierOutput,
    of_rows: Tensor,
    of_samples: Tensor,
    names: Sequence[str],
) -> Region:
    inside = judged.rows[of_rows] if favours == "rows" else judged.samples[of_samples]
    everything = torch.cat([judged.rows, judged.samples])
    centre = inside.median(0)[0]
    sd = everything.std(0)
    away = (centre - everything.median(0)[0]) / torch.where(sd > 0, sd, 1.0)
    order = away.abs().argsort(descending=True)[:_COLUMNS].tolist()
    shares = of_rows.double().mean(), of_samples.double().mean()
    variances = (s * (1 - s) / len(part) for s, part in zip(shares, (of_rows, of_samples)))  # noqa: B905
    return Region(
        favours,
        float(shares[0]),
        float(shares[1]),
        float(sum(variances)) ** 0.5,
        tuple(centre.tolist()),
        tuple((names[j], float(away[j])) for j in order),
    )
