"""The posterior of a Bayesian logistic regression on a table."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor
from torch.nn.functional import logsigmoid

from wopt import Capability, DataError, Target
from wopt.data import File, existing_file, read_table
from wopt_measures.laws.gaussian import check_points

_SHAPE, _RATE = 1.0, 0.01
"""Shape and rate of the Gamma law of a precision that is not given."""
_TABLES, _LABELS = ("data", "X"), ("target", "Y")
"""Names of arrays in files of Matlab."""
_DRAWS = 1000
"""Number of draws that predict at a time."""


class LogisticTarget(Target):
    r"""The posterior of the weights w of a logistic regression, with a fraction of rows held out.

        V(w, log a) = sum_i log(1 + exp(-y_i <x_i, w>)) + a |w|^2/2 - (d/2) log a
                      - [log density of log a],     a ~ Gamma(1, 0.01),

    with y_i = 1 or -1, columns of the training rows standardised, and a constant column last.
    Coordinates are the weights, and after them log a; with ``precision`` a is given.
    :meth:`figures` says how well the posterior's mean probability predicts the rows held out: the
    fraction that is right (``accuracy``) and the mean log-probability (``test_log_likelihood``).

    Source: Gershman, Hoffman, Blei, *Nonparametric variational inference*, 2012 (the prior);
    Mokrov and others, *Large-scale Wasserstein gradient flows*, 2021 (the scores).

    Raises:
        DataError: The file is missing or lacks the table, or labels are not two classes.

    Example:
        >>> import tempfile
        >>> folder = tempfile.TemporaryDirectory()
        >>> path = Path(folder.name) / "rows.csv"
        >>> _ = path.write_text("a,label\n" + "\n".join(f"{k},{int(k > 5)}" for k in range(10)))
        >>> target = LogisticTarget(path, held_out=0.2)
        >>> target.dim, target.names
        (3, ('w1', 'intercept', 'log precision'))
        >>> sorted(target.figures(torch.zeros(4, 3).double(), torch.full((4,), 0.25).double()))
        ['accuracy', 'test_log_likelihood']
        >>> folder.cleanup()
    """

    cites = ("gershman2012",)
    provides = Capability.POTENTIAL | Capability.SCORE

    def __init__(
        self,
        path: File,
        positive: Annotated[
            float | None,
            Field(
                description="label of the first class, all others being the second; by default "
                "the larger of two labels"
            ),
        ] = None,
        precision: Annotated[
            float | None,
            Field(gt=0, description="precision a of the weights' prior; by default it is inferred"),
        ] = None,
        held_out: Annotated[
            float, Field(gt=0, lt=1, description="fraction of the rows that test predictions")
        ] = 0.2,
        seed: Annotated[int, Field(ge=0, description="seed of the split")] = 0,
    ) -> None:
        self.precision = precision
        table, labels = _read(path)
        sign = torch.from_numpy(_signs(labels, positive, path))
        order = torch.randperm(len(sign), generator=torch.Generator().manual_seed(seed))
        cut = max(1, round(held_out * len(sign)))
        if cut >= len(sign):
            raise DataError(
                f"{path}: held_out = {held_out:g} of {len(sign)} rows leaves none to train on; "
                "give a smaller share, or more rows"
            )
        test, train = order[:cut], order[cut:]
        x = _with_constant(torch.from_numpy(table), train)
        self._rows, self._sign = x[train], sign[train]
        self._test, self._test_sign = x[test], sign[test]
        columns = x.shape[1]
        self.dim = columns + (precision is None)
        weights = *(f"w{j}" for j in range(1, columns)), "intercept"
        self.names = (*weights, "log precision") if precision is None else weights
        self.convexity = precision  # the likelihood's Hessian is not negative

    def potential(self, x: Tensor) -> Tensor:
        """Return V in nats: shape ``(n, d)`` to ``(n,)``."""
        check_points(x, self.dim)
        columns = self._rows.shape[1]
        w = x[:, :columns]
        signed = (self._sign[:, None] * self._rows).to(x)
        misfit = -logsigmoid(w @ signed.T).sum(1)
        if self.precision is not None:
            return misfit + self.precision * w.square().sum(1) / 2
        log_a = x[:, columns]
        prior = log_a.exp() * (w.square().sum(1) / 2 + _RATE)
        return misfit + prior - (columns / 2 + _SHAPE) * log_a

    def figures(self, draws: Tensor, weights: Tensor) -> dict[str, float]:
        """Return ``accuracy`` and ``test_log_likelihood`` on held-out rows, of ``(n, d)`` draws."""
        w, signed = draws[:, : self._rows.shape[1]], self._test_sign[:, None] * self._test
        right = torch.zeros(len(signed), dtype=torch.float64)
        for part, fraction in zip(w.split(_DRAWS), weights.split(_DRAWS), strict=True):
            right += (signed @ part.double().T).sigmoid() @ fraction.double()
        return {
            "accuracy": float((right > 0.5).double().mean()),
            "test_log_likelihood": float(right.clamp_min(1e-300).log().mean()),
        }


def _read(path: Path) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return columns ``(n, d)`` and labels ``(n,)``: from Matlab, or a table with labels last."""
    if path.suffix != ".mat":
        rows, _ = read_table(path)
        if rows.shape[1] < 2:
            raise DataError(f"{path} has one column; labels are the last of several")
        return np.ascontiguousarray(rows[:, :-1]), rows[:, -1]
    import scipy.io

    there = existing_file(path)
    try:
        found = scipy.io.loadmat(there)
    except Exception as error:  # scipy and zlib raise errors of many types
        raise DataError(f"{path}: is not a Matlab file that scipy reads: {error}") from None
    table, labels = (
        next((np.asarray(found[key], dtype=np.float64) for key in keys if key in found), None)
        for keys in (_TABLES, _LABELS)
    )
    if table is None or labels is None:
        raise DataError(f"{path} needs arrays {' or '.join(_TABLES)}, and {' or '.join(_LABELS)}")
    labels = labels.reshape(-1)
    table = table if len(table) == len(labels) else table.T
    if len(table) != len(labels):
        raise DataError(f"{path} has {len(labels)} labels for rows of shape {table.shape}")
    return np.ascontiguousarray(table), labels


def _signs(labels: NDArray[np.float64], positive: float | None, path: Path) -> NDArray[np.float64]:
    """Return 1 for the positive class and -1 for the others."""
    kinds = np.unique(labels).tolist()
    if positive is None and len(kinds) == 2:
        positive = kinds[1]
    if positive is None or positive not in kinds or len(kinds) < 2:
        raise DataError(
            f"{path} has labels {kinds[:9]}, and `positive` must be one of two or more: it is "
            f"{positive}"
        )
    return np.where(labels == positive, 1.0, -1.0)


def _with_constant(x: Tensor, train: Tensor) -> Tensor:
    """Return columns standardised by training rows, without constant ones, and a column of 1."""
    mean, scale = x[train].mean(0), x[train].std(0)
    kept = scale > 1e-12 * (1 + mean.abs())
    z = (x[:, kept] - mean[kept]) / scale[kept]
    return torch.cat([z, torch.ones(len(z), 1, dtype=torch.float64)], dim=1)
