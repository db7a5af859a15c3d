"""The classifier two-sample test."""

from __future__ import annotations

import dataclasses
import math

import torch
from torch import Tensor

from wopt.seeds import derive, generator
from wopt.statistics import mean_and_error
from wopt.typed import Typed
from wopt_certify.two_sample.nets import Units, fit_classifier, log_loss
from wopt_certify.two_sample.permutation import labels, permutation_p_value

__all__ = ["ClassifierOutput", "ClassifierTest", "classifier_test"]

_JUDGED, _VALID = 0.5, 0.15
_PERMUTATIONS = 499


@dataclasses.dataclass(frozen=True)
class ClassifierTest(Typed):
    """The skill of a classifier at telling rows from samples on data not used in its training.

    Attributes:
        accuracy, accuracy_error: Fraction of right answers; 1/2 if the laws agree.
        information, information_error: log 2 - log-loss, nats. Its expectation is at most the
            Jensen-Shannon divergence of the laws.
        p_value: p-value of the hypothesis "one law", by permutation of the labels.
        judged: Number of test rows of each kind.
    """

    accuracy: float
    accuracy_error: float
    information: float
    information_error: float
    p_value: float
    judged: int


@dataclasses.dataclass(frozen=True)
class ClassifierOutput:
    """The test data of a classifier with its logits.

    Attributes:
        rows, samples: Test rows and as many samples, shape ``(n, d)`` each.
        row_logits, sample_logits: Logits of being a row, shape ``(n,)`` each.
    """

    rows: Tensor
    samples: Tensor
    row_logits: Tensor
    sample_logits: Tensor


def classifier_test(
    rows: Tensor, samples: Tensor, *, seed: int = 0, iterations: int = 300
) -> tuple[ClassifierTest, ClassifierOutput]:
    """Test whether rows and samples come from one law.

    A classifier (ridge regression on coordinates, squares and products, or a small net,
    whichever does better on validation rows) is trained on half of both. On the other half the
    statistic is the difference of its mean probabilities, and the p-value is exact by permutation
    of the labels there, because the classifier was not trained on them. Rows must be independent,
    which overlapping patches are not.

    Args:
        rows: Shape ``(n, d)``, n >= 20.
        samples: Shape ``(m, d)``; min(n, m) of each are used.
        seed: Seed of splits, nets and permutations.
        iterations: Training iterations.

    Source: Lopez-Paz, Oquab, Revisiting classifier two-sample tests, 2017; Kim, Ramdas, Singh,
    Wasserman, Classification accuracy as a proxy for two-sample testing, 2021.

    Example:
        >>> x = torch.randn(400, 2, generator=torch.Generator().manual_seed(0)).double()
        >>> test, _ = classifier_test(x[:200], x[200:] + 3, iterations=50)
        >>> test.accuracy > 0.9, test.p_value
        (True, 0.002)
    """
    rng = generator(seed, "classifier")
    count = min(len(rows), len(samples))
    x, y = (part[torch.randperm(len(part), generator=rng)[:count]] for part in (rows, samples))
    judged = max(1, round(_JUDGED * count))
    valid = max(1, round(_VALID * count))
    units = Units(torch.cat([x[judged:], y[judged:]]))

    def both(part: slice) -> tuple[Tensor, Tensor]:
        """Return rows and samples in units, shape ``(n, d)``, and labels ``(n,)``."""
        pooled = units(torch.cat([x[part], y[part]]))
        real = torch.zeros(len(pooled), dtype=pooled.dtype)
        real[: len(pooled) // 2] = 1
        return pooled, real

    training, validation = both(slice(judged + valid, None)), both(slice(judged, judged + valid))
    classify = fit_classifier(training, validation, iterations, derive(seed, "net"))
    pooled, real = both(slice(judged))
    logits = classify(pooled)
    ways = labels(judged, judged, _PERMUTATIONS, rng)
    right = ((logits > 0) == (real > 0.5)).double()
    accuracy, loss = mean_and_error(right), mean_and_error(log_loss(logits, real))
    test = ClassifierTest(
        accuracy=accuracy.value,
        accuracy_error=accuracy.error,
        information=math.log(2) - loss.value,
        information_error=loss.error,
        p_value=permutation_p_value(logits.sigmoid() @ ways),
        judged=judged,
    )
    return test, ClassifierOutput(x[:judged], y[:judged], logits[:judged], logits[judged:])
