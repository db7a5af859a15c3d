"""Invertible affine preprocessing, part of the likelihood, and the sizes that float32 holds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor

from wopt.bijection import Bijection
from wopt.data.columns import Columns
from wopt.errors import CapabilityError, DataError
from wopt.memory import PIECE
from wopt.statistics import some

if TYPE_CHECKING:
    from wopt.data.dataset import Dataset

_SMALLEST = 1e-36
"""Smallest size of a column; the largest is its inverse."""

_FAR = 1e3
"""Offset, spread or inverse spread above which particles are far from unit scale."""


def check_size(x: Tensor, names: tuple[str, ...], where: str = "") -> None:
    """Raise if columns of rows ``(n, d)`` are too small or too large for squares in float32."""
    if not len(x):
        return
    size = torch.stack([part.abs().amax(0) for part in x.split(PIECE)]).amax(0)
    odd = ((size > 1 / _SMALLEST) | ((size > 0) & (size < _SMALLEST))).nonzero()[:, 0].tolist()
    if odd:
        columns = ", ".join(names[j] for j in odd[:5])
        raise DataError(
            f"{where}{': ' if where else ''}column(s) {columns} have values of size "
            f"{float(size[odd[0]]):.2g}, beyond what samples and figures, in float32, can hold "
            f"({_SMALLEST:g} to {1 / _SMALLEST:g}): multiply or divide them by a constant, take "
            "their logarithm, or say by `support` where they can lie"
        )


def far_from_unit(dataset: Dataset) -> str | None:
    """Return a warning of columns that are not scaled and lie far from the target's scale.

    Maps begin at the identity, and float32 resolves coordinates far from zero only coarsely.
    Return ``None`` if no column does.
    """
    matrix = dataset.transform.matrix
    if not torch.equal(matrix, torch.eye(len(matrix)).to(matrix)):
        return None
    x = torch.cat(dataset.transform.inside(*dataset.split(some(dataset.train))), dim=1).double()
    mean, spread = x.mean(0).abs(), x.std(0) if len(x) > 1 else torch.ones(x.shape[1])
    spread = spread.to(mean)
    odd = (mean > _FAR * spread.clamp(min=1)) | (spread > _FAR) | (spread * _FAR < 1)
    columns = [dataset.names[j] for j in odd.nonzero()[:, 0].tolist()]
    if not columns:
        return None
    j = dataset.names.index(columns[0])
    return (
        f"column(s) {', '.join(columns[:5])} lie far from unit scale ({columns[0]}: mean "
        f"{float(x[:, j].mean()):.3g}, standard deviation {float(spread[j]):.3g}) and preprocess = "
        '"none" leaves them so: maps begin at the identity and must carry them all the way, in '
        'few digits. Use preprocess = "standardise" or "whiten" in [source]'
    )


Affine = Literal["none", "standardise", "whiten", "rotate"]
How = Literal["none", "standardise", "whiten", "gaussianise", "marginals", "principal"]


def _fitted(x: Tensor, how: Affine, names: tuple[str, ...]) -> tuple[Tensor, Tensor, Tensor]:
    """Return shift, matrix and its inverse, see :meth:`AffineTransform.fit`."""
    d = x.shape[1]
    eye = torch.eye(d, dtype=torch.float64)
    if how == "none":
        return (torch.zeros(d, dtype=torch.float64), eye, eye)
    check_size(x, names)
    shift, scale = x.mean(0), x.std(0)
    constant = [names[j] for j in range(d) if bool((x[:, j] == x[0, j]).all())]
    if constant:
        raise DataError(
            f"column(s) {', '.join(constant)} do not vary, so they have no density; leave them "
            'out (`columns`), or keep them by preprocess = "none" with a smooth_time'
        )
    if how == "standardise":
        return (shift, torch.diag(1 / scale), torch.diag(scale))
    # The correlation matrix is factored, not the covariance, so that units do not matter.
    correlation = torch.cov(((x - shift) / scale).T).reshape(d, d)
    if len(x) <= d or torch.linalg.eigvalsh(correlation)[0] < 1e-10:
        raise DataError(
            f"the covariance of the {len(x)} training rows is singular in {d} dimensions (a "
            "column is a linear combination of others, or there are too few rows), so there "
            'is no density to whiten; leave columns out or use preprocess = "standardise"'
        )
    if how == "rotate":
        values, vectors = (part.flip(-1) for part in torch.linalg.eigh(correlation))
        # A component's sign is arbitrary: its largest weight is made positive.
        peaks = vectors.gather(0, vectors.abs().argmax(0, keepdim=True))
        vectors, root = vectors * peaks.sign(), values.sqrt()
        matrix, back = (vectors / root).T / scale, scale[:, None] * vectors * root
        return (shift, matrix.contiguous(), back.contiguous())
    factor = torch.diag(scale) @ torch.linalg.cholesky(correlation)
    return (shift, torch.linalg.solve_triangular(factor, eye, upper=False), factor)


class AffineTransform(Bijection):
    """The map  z = (E(x) - shift) @ matrix^T  from the data's units to the flow's coordinates.

    E is the columns' map to the line, if they are described, and else the identity. It computes in
    float64, on the device that it is on (in float32 where a device has no float64).

    Args:
        shift: Shift in the data's units, shape ``(d,)``.
        matrix: Shape ``(d, d)``; the log-det of a triangular one is cheap.
        inverse_matrix: Inverse of ``matrix``, shape ``(d, d)``.

    Attributes:
        given: The preprocessing of the conditions, if there are any.

    Example:
        >>> x = torch.randn(500, 2, generator=torch.Generator().manual_seed(0)).double() * 3 + 1
        >>> t = AffineTransform.fit(x, "whiten")
        >>> z, log_det = t(x)
        >>> bool(torch.allclose(t.inverse(z)[0], x)), log_det.shape
        (True, torch.Size([500]))
        >>> torch.cov(z.T).diagonal().round(decimals=6).tolist()
        [1.0, 1.0]
    """

    shift: Tensor
    matrix: Tensor
    inverse_matrix: Tensor

    columns: Columns | None = None
    """Descriptions of a table's columns; ``None`` for numbers on the whole line."""

    def __init__(self, shift: Tensor, matrix: Tensor, inverse_matrix: Tensor) -> None:
        super().__init__()
        self.given: AffineTransform | None = None
        # Computed once: torch.export follows no branch on numbers.
        spread = torch.linalg.vector_norm(inverse_matrix, dim=1)
        self._triangular = not bool(matrix.triu(1).any())
        rounded = shift.abs() * torch.finfo(torch.float32).eps
        self._coarse = bool((rounded > 1e-4 * spread).any())
        self.register_buffer("shift", shift)
        self.register_buffer("matrix", matrix)
        self.register_buffer("inverse_matrix", inverse_matrix)

    def __repr__(self) -> str:
        return f"AffineTransform({len(self.shift)} columns)"

    def _apply(self, fn: Any, recurse: bool = True) -> AffineTransform:
        if fn(torch.empty(0)).device.type == "mps":  # which has no float64
            super()._apply(lambda t: t.float())  # type: ignore[no-untyped-call]
        return super()._apply(fn, recurse)  # type: ignore[no-untyped-call]

    @classmethod
    def fit(
        cls, x: Tensor, how: Affine, names: tuple[str, ...] | None = None, condition: int = 0
    ) -> AffineTransform:
        """Fit the map on training rows.

        Args:
            x: Training rows, shape ``(n, d + k)``.
            how: ``none``; ``standardise`` each column to mean 0 and variance 1; ``whiten`` to
                mean 0 and identity covariance (by the inverse Cholesky factor); ``rotate``
                likewise, to the principal components of the standardised columns in falling order
                of their variance.
            condition: Number k of columns, the last ones, that are conditions, which are
                standardised, or left as they are too.

        Raises:
            DataError: A column is constant, or columns are linearly dependent.
        """
        if condition:
            whole = cls.fit(x[:, :-condition], how, names and names[:-condition])
            of_given: Affine = "none" if how == "none" else "standardise"
            whole.given = cls.fit(x[:, -condition:], of_given, names and names[-condition:])
            return whole
        names = names or tuple(f"x{j}" for j in range(x.shape[1]))
        return cls(*_fitted(x.double(), how, names))

    @classmethod
    def of_columns(
        cls, shift: Tensor, matrix: Tensor, inverse_matrix: Tensor, condition: int = 0
    ) -> AffineTransform:
        """Return the map of all columns, the last ones of which are conditions, as files hold it.

        Args:
            shift: Shift, shape ``(d + k,)``.
            matrix: Shape ``(d + k, d + k)``, of two blocks.
        """
        d = len(shift) - condition
        of = [cls(shift[s], matrix[s, s], inverse_matrix[s, s]) for s in (slice(d), slice(d, None))]
        of[0].given = of[1] if condition else None
        return of[0]

    def of_all_columns(self) -> dict[str, Tensor]:
        """Return the arguments of :meth:`of_columns`, of these shapes."""
        parts = [self, *([] if self.given is None else [self.given])]
        return {
            "shift": torch.cat([part.shift for part in parts]),
            "matrix": torch.block_diag(*(part.matrix for part in parts)),
            "inverse_matrix": torch.block_diag(*(part.inverse_matrix for part in parts)),
        }

    def _slope(self) -> Tensor:
        """Return log |det| of the matrix, shape ``()``."""
        if self._triangular:
            return self.matrix.diagonal().abs().log().sum()
        return torch.linalg.slogdet(self.matrix)[1]

    @property
    def condition(self) -> int:
        """Number of conditions."""
        return 0 if self.given is None else len(self.given.shift)

    @property
    def of_conditions(self) -> AffineTransform:
        """The preprocessing of the conditions.

        Raises:
            CapabilityError: There are none.
        """
        if self.given is None:
            raise CapabilityError("this model has no conditions; leave them out")
        return self.given

    @property
    def is_identity(self) -> bool:
        """Whether it is the identity."""
        if self.columns is not None and any(column.bent for column in self.columns.moved):
            return False
        eye = torch.eye(len(self.shift)).to(self.matrix)
        still = not bool(self.shift.any()) and torch.equal(self.matrix, eye)
        return still and (self.given is None or self.given.is_identity)

    def move(self, x: Tensor, c: Tensor | None = None) -> Tensor:
        """Return rows ``(n, d)`` of the data in the flow's coordinates, float64."""
        x = x.to(self.shift)
        x = x if self.columns is None else self.columns.encode(x)
        return (x - self.shift) @ self.matrix.T

    def inside(self, x: Tensor, *c: Tensor) -> tuple[Tensor, ...]:
        """Return points ``(n, d)``, and conditions ``(n, k)`` if any, in the flow's coordinates."""
        return self.move(x), *(self.of_conditions.move(part) for part in c)

    def outside(self, z: Tensor, *c: Tensor) -> Tensor:
        """Return rows ``(n, d + k)`` in the data's units, of points and conditions if any."""
        parts = (self.of_conditions.inverse(part)[0] for part in c)
        return torch.cat([self.inverse(z)[0], *parts], dim=1)

    def forward(self, x: Tensor, c: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return :meth:`move`, ``(n, d)``, and log |det|, ``(n,)``, in nats."""
        x, log_det = x.to(self.shift), self._slope().expand(x.shape[:-1])
        if self.columns is not None:
            x, bend = self.columns.forward(x)
            log_det = log_det + bend
        return (x - self.shift) @ self.matrix.T, log_det

    def inverse(self, y: Tensor, c: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return rows in the data's units, ``(n, d)``, and log |det|, ``(n,)``.

        Discrete columns are not rounded to their values; ends of supports are exact. Rows have the
        dtype of y, unless columns are described, or float32 resolves one to worse than 1e-4 of its
        spread.
        """
        x, log_det = y.to(self.shift) @ self.inverse_matrix.T + self.shift, -self._slope()
        if self.columns is None:
            return x if self._coarse else x.to(y), log_det.expand(x.shape[:-1])
        x, bend = self.columns.inverse(x)
        return x, bend + log_det
