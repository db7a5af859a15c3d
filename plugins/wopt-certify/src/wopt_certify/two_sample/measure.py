"""Two-sample evidence as one typed result: tests by classifier, by kernel and by column."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from wopt.errors import DataError
from wopt.seeds import generator
from wopt.statistics import mean_and_error
from wopt.typed import Number, Typed
from wopt_certify.two_sample.classifier import (
    ClassifierTest,
    Region,
    Units,
    classifier_test,
    deviations,
    labels,
    permutation_p_value,
    regions_of,
)

_FACTORS = (0.25, 0.5, 1.0, 2.0, 4.0)
"""Bandwidths in multiples of the median distance."""
_PERMUTATIONS = 299


@dataclasses.dataclass(frozen=True)
class MMDTest(Typed):
    """The kernel test.

    Attributes:
        statistic: The largest of the standardised values over bandwidths.
        bandwidth: The bandwidth of that value, over the median distance of the pooled rows.
        p_value: p-value of the hypothesis "one law", by permutation.
        rows: Rows of each kind that were compared.
    """

    statistic: float
    bandwidth: float
    p_value: float
    rows: int


def mmd_test(rows: Tensor, samples: Tensor, *, seed: int = 0, most: int = 700) -> MMDTest:
    """Test whether rows and samples come from one law by the maximum mean discrepancy.

    For Gaussian kernels of a quarter to four times the median distance MMD^2 without the diagonal
    is standardised over the true labels and permuted ones, and the largest over bandwidths is the
    statistic: the same function of every labelling, so its p-value is exact.

    Args:
        rows, samples: Shapes ``(n, d)`` and ``(m, d)``, compared in the pooled deviations.
        most: Rows of each kind at most; time and memory are quadratic.

    Source: Gretton et al., A kernel two-sample test, 2012; aggregation as in Schrab et al., MMD
    aggregated two-sample test, 2023, and Biggs et al., MMD-FUSE, 2023.

    Example:
        >>> x = torch.randn(200, 2, generator=torch.Generator().manual_seed(0)).double()
        >>> mmd_test(x[:100], x[100:] + 1).p_value < 0.01
        True
    """
    rng = generator(seed, "mmd")
    count = min(len(rows), len(samples), most)
    parts = [part[torch.randperm(len(part), generator=rng)[:count]] for part in (rows, samples)]
    pooled = torch.cat(parts)
    z = Units(pooled)(pooled)
    squared = torch.cdist(z, z).square()
    median = squared[torch.triu(torch.ones_like(squared), 1) > 0].median().clamp_min(1e-12)
    ways = labels(count, count, _PERMUTATIONS, rng)
    table = []
    for factor in _FACTORS:
        kernel = torch.exp(-squared / (2 * factor**2 * median)).fill_diagonal_(0)
        values = (ways * (kernel @ ways)).sum(0)
        table.append((values - values.mean()) / values.std().clamp_min(1e-300))
    statistics, at = torch.stack(table).max(0)
    p_value = permutation_p_value(statistics)
    return MMDTest(float(statistics[0]), _FACTORS[int(at[0])], p_value, count)


@dataclasses.dataclass(frozen=True)
class ColumnDifference(Typed):
    """One column of rows against samples.

    Attributes:
        distance: Kolmogorov-Smirnov statistic, the largest difference of the distribution
            functions.
        p_value: p-value of "one law in this column", after Holm's correction over all columns.
        shift: The samples' mean minus the rows', over the rows' standard deviation.
        spread: The samples' standard deviation over the rows'.
    """

    name: str
    distance: float
    p_value: float
    shift: Number
    spread: Number


def column_differences(
    rows: Tensor, samples: Tensor, names: Sequence[str]
) -> tuple[ColumnDifference, ...]:
    """Return the differences of all columns of ``(n, d)`` and ``(m, d)``, the largest first.

    Example:
        >>> x = torch.arange(100.0).double()[:, None]
        >>> first = column_differences(x, x + 50, ["a"])[0]
        >>> first.name, first.distance
        ('a', 0.5)
    """
    distances = [kolmogorov_smirnov(rows[:, j], samples[:, j]) for j in range(rows.shape[1])]
    corrected = holm([_tail(distance, len(rows), len(samples)) for distance in distances])
    unit = deviations(rows)
    shift = (samples.mean(0) - rows.mean(0)) / unit
    spread = samples.std(0) / unit
    differences = [
        ColumnDifference(names[j], distances[j], corrected[j], float(shift[j]), float(spread[j]))
        for j in range(rows.shape[1])
    ]
    return tuple(sorted(differences, key=lambda one: -one.distance))


def kolmogorov_smirnov(x: Tensor, y: Tensor) -> float:
    """Return the largest difference of the distribution functions of ``(n,)`` and ``(m,)`` values.

    Example:
        >>> kolmogorov_smirnov(torch.tensor([0.0, 1.0]), torch.tensor([0.5, 2.0]))
        0.5
    """
    x, y = x.sort()[0].contiguous(), y.sort()[0].contiguous()
    at = torch.cat([x, y])
    below_x = torch.searchsorted(x, at, right=True).double() / len(x)
    below_y = torch.searchsorted(y, at, right=True).double() / len(y)
    return float((below_x - below_y).abs().max())


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values by Holm's method, which bounds the chance of any false rejection."""
    corrected, largest = [0.0] * len(p_values), 0.0
    for rank, (p, j) in enumerate(sorted((p, j) for j, p in enumerate(p_values))):
        corrected[j] = largest = max(largest, min(1.0, (len(p_values) - rank) * p))
    return corrected


def _tail(distance: float, n: int, m: int) -> float:
    """Return P(D >= distance) under one law, by Kolmogorov's law with Stephens's correction."""
    from scipy.special import kolmogorov

    root = math.sqrt(n * m / (n + m))
    return float(kolmogorov((root + 0.12 + 0.11 / root) * distance))


_PIECE = 256
"""Rows whose distances to all training rows exist at a time."""


@dataclasses.dataclass(frozen=True)
class ClosestRecord(Typed):
    """Distances to the closest training row, of samples and of held-out rows.

    Attributes:
        nearer: Estimate of P(a sample is nearer to the training rows than a held-out row is), ties
            counting half: 1/2 if samples are as new as held-out rows, 1 if they are copies.
        error: Its standard error.
        samples, rows: Median distances, in standard deviations of the training rows' columns.
    """

    nearer: float
    error: float
    samples: float
    rows: float

    @property
    def copies(self) -> bool:
        """Whether samples are nearer by more than two standard errors."""
        return self.nearer - 2 * self.error > 0.5

    def text(self) -> str:
        """Return the result in a sentence.

        Example:
            >>> ClosestRecord(0.5, 0.01, 0.3, 0.3).text()[:50]
            'samples are no nearer to training rows than held-o'
        """
        how = "nearer" if self.copies else "no nearer"
        return (
            f"samples are {how} to training rows than held-out rows are: a sample is the nearer "
            f"of the two with probability {self.nearer:.3f} +- {self.error:.3f} (1/2 if nothing is "
            f"memorised; median distances {self.samples:.3g} and {self.rows:.3g} sd)"
        )


def closest_record(train: Tensor, rows: Tensor, samples: Tensor) -> ClosestRecord:
    """Compare the distances to the closest training row of samples and of held-out rows.

    The estimate is Mann and Whitney's statistic of the two sets of distances, its error DeLong's,
    given the training rows. The three have shapes ``(k, d)``, ``(n, d)`` and ``(m, d)``.

    Source: DeLong, DeLong and Clarke-Pearson, Comparing the areas under two or more correlated
    receiver operating characteristic curves, 1988.

    Example:
        >>> x = torch.randn(300, 2, generator=torch.Generator().manual_seed(0)).double()
        >>> closest_record(x[:100], x[100:200], x[:100]).nearer
        1.0
    """
    units = Units(train)
    near = units(train)
    of, to = (
        torch.cat([torch.cdist(piece, near).amin(1) for piece in units(points).split(_PIECE)])
        for points in (samples, rows)
    )
    sample = mean_and_error(_fraction_above(to, of))
    row = mean_and_error(_fraction_above(of, to))
    error = math.hypot(sample.error, row.error)
    return ClosestRecord(sample.value, error, float(of.median()), float(to.median()))


def _fraction_above(values: Tensor, at: Tensor) -> Tensor:
    """Return the fractions of values above each point, those equal counting half."""
    ordered = values.sort()[0]
    above = len(ordered) - torch.searchsorted(ordered, at, right=True)
    not_below = len(ordered) - torch.searchsorted(ordered, at)
    return (above + not_below).double() / (2 * len(ordered))


@dataclasses.dataclass(frozen=True)
class TwoSampleReport(Typed):
    """The result of two-sample tests of held-out rows against a model's samples.

    Attributes:
        p_value: p-value of "one law", of both tests together (Bonferroni).
        level: Confidence; the laws are said to differ where p is at most 1 - level.
        columns: Columns by difference, the largest first.
        regions: Regions of clear difference; meaningful only where the laws differ.
        overflowed: Number of samples left out because they are not finite.
        closest: ``None`` where samples are not of the data.
    """

    classifier: ClassifierTest
    mmd: MMDTest
    p_value: float
    level: float
    columns: tuple[ColumnDifference, ...]
    regions: tuple[Region, ...]
    overflowed: int
    closest: ClosestRecord | None = None

    @property
    def differs(self) -> bool:
        """Whether the tests together reject "one law"."""
        return self.p_value <= 1 - self.level

    def to_dict(self) -> dict[str, Any]:
        """Return plain tables, lists and numbers."""
        return super().to_dict() | {"differs": self.differs}

    def text(self) -> str:
        """Return the result in a few sentences."""
        c = self.classifier
        note = (
            f"a classifier tells held-out rows from samples with accuracy {c.accuracy:.3f} +- "
            f"{c.accuracy_error:.3f} (1/2 if alike); p = {self.p_value:.3g} of one law, classifier "
            f"and kernel test together"
        )
        copies = "" if self.closest is None else f". Also, {self.closest.text()}"
        if not self.differs:
            return (
                f"{note}. No difference was found with {c.judged} rows of each; "
                f"smaller ones may exist{copies}"
            )
        parts = [note]
        differing = [one for one in self.columns if one.p_value <= 1 - self.level][:3]
        if differing:
            each = ", ".join(f"{one.name} (distance {one.distance:.2f})" for one in differing)
            parts.append(f"columns that differ by themselves: {each}")
        for region in self.regions:
            what = "few" if region.favours == "rows" else "many"
            where = ", ".join(f"{name} {away:+.1f} sd" for name, away in region.columns[:3])
            parts.append(
                f"too {what} samples around {where}: {region.samples_share:.1%} of the samples, "
                f"{region.rows_share:.1%} of the rows"
            )
        return "; ".join(parts) + copies


_LEAST = 20
_MOST = 5000
_SHOWN = 20


def two_sample(
    rows: Tensor,
    samples: Tensor,
    names: Sequence[str] | None = None,
    train: Tensor | None = None,
    *,
    level: float = 0.95,
    seed: int = 0,
) -> TwoSampleReport:
    """Test whether rows and samples come from one law, and report where they differ.

    No density is needed. Rows must be independent of each other and of the model: held out. For a
    conditional model draw the samples at conditions of other rows than these.

    Args:
        rows: Shape ``(n, d)``.
        samples: Samples of the model, shape ``(m, d)``.
        train: Training rows, shape ``(k, d)``, of which samples may be copies.

    Raises:
        DataError: There are fewer than 20 finite rows or samples, or their widths differ.

    Example:
        >>> x = torch.randn(600, 2, generator=torch.Generator().manual_seed(0)).double()
        >>> two_sample(x[:300], x[300:] * 1.5).differs
        True
    """
    if rows.ndim != 2 or samples.ndim != 2 or rows.shape[1] != samples.shape[1]:
        raise DataError(
            f"rows and samples need as many columns, got shapes {tuple(rows.shape)} and "
            f"{tuple(samples.shape)}"
        )
    rows, samples = (part.detach().double().cpu()[:_MOST] for part in (rows, samples))
    finite = torch.isfinite(samples).all(1)
    overflowed, samples = int((~finite).sum()), samples[finite]
    if min(len(rows), len(samples)) < _LEAST or not bool(torch.isfinite(rows).all()):
        raise DataError(
            f"two-sample tests need {_LEAST} finite rows and samples at least, got {len(rows)} and "
            f"{len(samples)} ({overflowed} samples overflowed)"
        )
    names = names or [f"x{j}" for j in range(rows.shape[1])]
    classifier, judged = classifier_test(rows, samples, seed=seed)
    mmd = mmd_test(rows, samples, seed=seed)
    return TwoSampleReport(
        classifier=classifier,
        mmd=mmd,
        p_value=min(1.0, 2 * min(classifier.p_value, mmd.p_value)),
        level=level,
        columns=column_differences(rows, samples, names)[:_SHOWN],
        regions=regions_of(*judged, names),
        overflowed=overflowed,
        closest=None if train is None else closest_record(train, rows, samples),
    )
