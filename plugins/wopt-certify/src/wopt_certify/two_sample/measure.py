"""Two-sample tests between held-out rows and a model's samples."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from wopt.errors import DataError
from wopt_certify.two_sample.classifier import classifier_test
from wopt_certify.two_sample.columns import column_differences
from wopt_certify.two_sample.mmd import mmd_test
from wopt_certify.two_sample.regions import regions_of
from wopt_certify.two_sample.report import TwoSampleReport

__all__ = ["two_sample"]

_LEAST = 20
_MOST = 5000
_SHOWN = 20


def two_sample(
    rows: Tensor,
    samples: Tensor,
    names: Sequence[str] | None = None,
    *,
    level: float = 0.95,
    seed: int = 0,
    iterations: int = 300,
    kernel_rows: int = 700,
) -> TwoSampleReport:
    """Test whether rows and samples come from one law, and report where they differ.

    No density is needed. Rows must be independent of each other and of the model: held out. For a
    conditional model draw the samples at conditions of other rows than these.

    Args:
        rows: Shape ``(n, d)``.
        samples: Samples of the model, shape ``(m, d)``.
        names: Names of the columns.
        level: Confidence.
        seed: Seed of all draws.
        iterations: Training iterations of the classifier.
        kernel_rows: Rows of each kind that the kernel test compares at most.

    Raises:
        DataError: There are fewer than 20 finite rows or samples, or their widths differ.

    Example:
        >>> x = torch.randn(600, 2, generator=torch.Generator().manual_seed(0)).double()
        >>> two_sample(x[:300], x[300:] * 1.5, iterations=50).differs
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
    classifier, judged = classifier_test(rows, samples, seed=seed, iterations=iterations)
    mmd = mmd_test(rows, samples, seed=seed, most=kernel_rows)
    return TwoSampleReport(
        classifier=classifier,
        mmd=mmd,
        p_value=min(1.0, 2 * min(classifier.p_value, mmd.p_value)),
        level=level,
        columns=column_differences(rows, samples, names)[:_SHOWN],
        regions=regions_of(judged, names),
        overflowed=overflowed,
    )
