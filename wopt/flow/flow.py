"""Flow: the trained model, bijections that end at a base law."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from wopt.bijection import Bijection
from wopt.capabilities import Capability
from wopt.data.columns import Columns
from wopt.data.frames import FrameType, arrow_table
from wopt.data.rows import as_rows
from wopt.data.tables import coordinates
from wopt.data.transform import AffineTransform
from wopt.flow.base import DistributionLaw, begun, carried, inputs_of, providing
from wopt.flow.chain import Chain, Inverse
from wopt.flow.exact import warn_of_missed
from wopt.flow.marginal import Fill, density_of_seen, imputed
from wopt.host import host
from wopt.interfaces.block import FlowBlock
from wopt.interfaces.target import Law
from wopt.particles import split_conditions
from wopt.push import in_batches
from wopt.renamed import renamed_arguments

if TYPE_CHECKING:
    from wopt.flow.conversions import FlowDistribution

Shape = int | Sequence[int]
"""A number of samples, or a shape of them."""

Rng = torch.Generator | None


class FlowMap(nn.Module):
    """The bijections of a flow, the first one first, and the base at which they end.

    Arguments are those of :class:`Flow`.

    Example:
        >>> import wopt
        >>> units = AffineTransform.fit(torch.randn(100, 2), "none")
        >>> flow = Flow([units], wopt.build("target", "gaussian"), ("a", "b"))
        >>> flow.dim, flow.blocks, flow.pulls_back
        (2, [], True)
    """

    @renamed_arguments(map="bijections")
    def __init__(
        self,
        bijections: Chain | Inverse | Iterable[Bijection],
        base: Law | Distribution | None,
        names: Sequence[str] = (),
        frame: FrameType | None = None,
        conditions: Tensor | None = None,
    ) -> None:
        super().__init__()
        self.names, self.frame = tuple(names), frame
        self.base = DistributionLaw(base) if isinstance(base, Distribution) else base
        dim = len(self.names) or (None if self.base is None else self.base.dim)
        if isinstance(bijections, Inverse):
            self.map: Chain | Inverse = bijections
        else:
            self.map = Chain.from_units(bijections, dim)
        self.conditions: Tensor | None
        self.register_buffer("conditions", conditions)
        self.eval()

    def __repr__(self) -> str:
        kind = type(self.blocks[0]).__name__ if self.blocks else "no"
        base = type(getattr(self.base, "source", self.base)).__name__
        end = "to" if self.pulls_back else "from"
        return f"Flow({self.dim} columns, {len(self.blocks)} {kind} block(s) {end} {base})"

    @property
    def chain(self) -> Chain:
        """The blocks in the order in which they were made."""
        return self.map if isinstance(self.map, Chain) else self.map.of

    @property
    def pulls_back(self) -> bool:
        """Whether the model is the base pulled back by the blocks, not pushed forward by them."""
        return self.map is self.chain

    @property
    def normalised(self) -> bool:
        """Whether the base's density is known with its constant."""
        return self.base is not None and self.base.normalised

    @property
    def blocks(self) -> list[FlowBlock]:
        """Blocks T_1, ..., T_N."""
        return self.chain.blocks

    @property
    def transform(self) -> AffineTransform:
        """The preprocessing."""
        assert self.chain.transform is not None
        return self.chain.transform

    @property
    def dim(self) -> int:
        """Number of columns, conditions included."""
        return self.modelled + self.condition

    @property
    def modelled(self) -> int:
        """The dimension d, which is the number of columns without the conditions."""
        return len(self.transform.shift)

    @property
    def columns(self) -> Columns | None:
        """Descriptions of the columns; ``None`` for numbers on the whole line."""
        return self.transform.columns if self.pulls_back else None

    @property
    def described(self) -> Columns:
        """Descriptions of the columns, also of numbers on the whole line."""
        names = self.names or coordinates(self.dim)
        return self.columns or Columns.on_the_line(names, self.condition)

    @property
    def condition(self) -> int:
        """Number of columns, the last ones, that are conditions."""
        return self.transform.condition

    def forward(
        self, x: Tensor, c: Tensor | None = None, *, audit: bool = False
    ) -> tuple[Tensor, Tensor]:
        """Return map(x; c), ``(n, d)``, and log |det|, ``(n,)``; c is in the data's units."""
        return self.map.forward(*inputs_of(self, x, c), audit=audit)

    def inverse(
        self, z: Tensor, c: Tensor | None = None, *, audit: bool = False
    ) -> tuple[Tensor, Tensor]:
        """Return map^-1(z; c), ``(n, d)``, and log |det|, ``(n,)``, for points of the base."""
        return self.map.inverse(*inputs_of(self, z, c), audit=audit)

    def table(self, x: Tensor) -> Any:
        """Return rows as an Arrow table with the data's names, integers and categories.

        Args:
            x: Rows of :meth:`sample`, shape ``(n, d)``, with or without the conditions.

        Example:
            >>> import wopt
            >>> units = AffineTransform.fit(torch.randn(100, 2), "none")
            >>> flow = Flow([units], wopt.build("target", "gaussian"), ("a", "b"))
            >>> flow.table(flow.sample(3)).column_names
            ['a', 'b']
        """
        return arrow_table(x, self.described)

    def _carry(self, function: Callable[..., Any], *inputs: Tensor) -> Any:
        """Return ``function(*inputs)``, in batches where no gradient is needed."""
        if torch.is_grad_enabled() and any(t.requires_grad for t in (*inputs, *self.parameters())):
            return function(*inputs)
        return in_batches(function, *inputs)


class Flow(FlowMap):
    """The law of x = F^-1(z), z drawn from the base, F the composition of bijections.

        log p(x) = log base(F(x)) + log |det DF(x)|.

    A flow from data to noise begins with the preprocessing and has the target for its base. A start
    carried to a target is the base of the :meth:`inverted` flow.

    Densities and reparameterised samples carry gradients to their arguments and to the parameters
    (call ``flow.requires_grad_()`` first, as trained blocks are frozen). Without gradients rows are
    processed in batches, which bounds memory.

    Rows are in the data's units. An integer or a category (its code) stands for the cell around it,
    over which noise spread it in training: the density at it is about its probability, and
    :func:`~wopt.flow.conversions.log_mass_bound` gives a lower bound of that.

    Args:
        bijections: Bijections, the first one first, from the model's units to the base; or a
            chain of them, or the inverse of one. The first may be a preprocessing, which is frozen.
        base: A law, or a distribution of torch; ``None`` if it is not known.
        names: Names of the columns, conditions last.
        frame: Type of the frame that the model was fitted to, if it was.
        conditions: Rows of conditions, shape ``(m, k)``, in the flow's coordinates, from which
            those of samples are drawn, unless they are given.

    Example:
        >>> import wopt
        >>> units = AffineTransform.fit(torch.randn(100, 2), "none")
        >>> flow = Flow([units], wopt.build("target", "gaussian"))
        >>> flow.sample((3, 4)).shape, flow.log_prob(torch.zeros(5, 2)).shape
        (torch.Size([3, 4, 2]), torch.Size([5]))
    """

    def _repr_html_(self) -> str:
        """Return the columns and the blocks for a notebook."""
        from wopt.flow.conversions import flow_html

        return flow_html(self)

    def inverted(self) -> Flow:
        """Return the flow in the other direction: the law of F(z), z drawn from the base.

        Example:
            >>> import wopt
            >>> units = AffineTransform.fit(9 * torch.randn(100, 1), "standardise")
            >>> flow = Flow([units], wopt.build("target", "gaussian")).inverted()
            >>> bool(flow.sample(1000).std() < 1)
            True
        """
        other = self.map.of if isinstance(self.map, Inverse) else Inverse(self.map)
        return Flow(other, self.base, self.names, self.frame, self.conditions)

    def log_prob(self, x: Any, conditions: Any = None, *, audit: bool = False) -> Tensor:
        """Return the model's (conditional) log-density, shape ``(...)``, nats.

        A missing value that samples can have too is a value. Where one is missing that training
        always had, the result estimates the density of what is seen, with a warning
        (:func:`wopt.flow.log_marginal`).

        Args:
            x: Rows ``(..., d)``: a tensor, an array or a table with categories instead of codes. A
                table's columns are found by name, or by position if the model's are unnamed and as
                many. Without ``conditions`` they are the last columns, shape ``(..., d + k)``.
            conditions: Conditions, shape ``(..., k)``; broadcast against ``x``.
            audit: Use the blocks' finer, independent computation, if the map has one (inverses do
                not).

        Raises:
            CapabilityError: The model has no density (the target is not normalised, say).
            DataError: Rows have another width.
        """
        rows = as_rows(x, self.names, conditions, self.condition, self.columns)
        flat = rows.flatten(0, -2) if rows.ndim > 2 else rows[None] if rows.ndim == 1 else rows
        inputs = inputs_of(self, *split_conditions(flat, self.condition))
        if bool(flat.isnan().any()):
            return density_of_seen(self, flat, audit).reshape(rows.shape[:-1])
        z, log_det = self._carry(functools.partial(self.map, audit=audit), *inputs)
        base = providing(self.base, Capability.POTENTIAL | Capability.NORMALISED, "a likelihood")
        return (log_det + base.log_prob(z).to(log_det)).reshape(rows.shape[:-1])

    def impute(self, x: Any, how: Fill = "draw", *, generator: Rng = None) -> Any:
        """Return rows ``(n, d)`` of the type of x with gaps filled by the law given what is seen.

        That a value is missing is taken to say nothing of it. Conditions are not filled.

        Args:
            x: Rows of any type, shape ``(n, d)``, NaN or null where a value is missing.
            how: ``"draw"``, or ``"mean"`` for the possible value nearest to the mean, and the most
                probable category.
            generator: Random numbers; torch's own by default.
        """
        return imputed(self, x, how, generator)

    @torch.no_grad()
    def sample(self, shape: Shape = (), *, generator: Rng = None, conditions: Any = None) -> Any:
        """Return new samples, shape ``shape + (d,)`` or ``shape + (d + k,)``; integers are whole.

        Args:
            shape: Number of the samples: rows of a frame, if the model was fitted to one; or a
                shape, for a tensor.
            generator: Random numbers; torch's own by default.
            conditions: Conditions, shape ``(..., k)``, in the data's units, for samples of the
                other columns given them, ``shape + (..., d)``. By default conditions are drawn
                from those of the training data and are the last columns of the samples.

        Raises:
            CapabilityError: The model cannot be sampled (the target has no samples, say).
        """
        x = self._draw(shape, generator, conditions, audit=False)[0]
        if self.frame is None or not (isinstance(shape, int) or shape == ()):
            return x
        return self.frame.frame(self.table(x.reshape(-1, x.shape[-1])))

    def rsample(
        self, shape: Shape = (), *, generator: Rng = None, conditions: Any = None
    ) -> Tensor:
        """Return samples, shape ``shape + (d,)``, with gradients; discrete columns not rounded."""
        return self._draw(shape, generator, conditions, audit=False, whole=False)[0]

    def rsample_and_log_prob(
        self, shape: Shape = (), *, generator: Rng = None
    ) -> tuple[Tensor, Tensor]:
        """Return samples, shape ``shape + (d,)``, and their log-density, both with gradients."""
        return self._draw(shape, generator, None, audit=False, whole=False)

    @torch.no_grad()
    def sample_and_log_prob(
        self,
        shape: Shape = (),
        *,
        generator: Rng = None,
        conditions: Any = None,
        audit: bool = False,
    ) -> tuple[Tensor, Tensor]:
        """Return samples, ``shape + (d,)``, and their log-density, shape ``shape``, nats.

        Other arguments are those of :meth:`sample`. The log-density is NaN if there is none.

        Args:
            shape: Number or shape of the samples.
            generator, conditions: As for :meth:`sample`.
            audit: Evaluate the samples by the blocks' finer, independent computation. Inexact
                inverses are first corrected in float64; the warning :class:`InexactInverse` counts
                the samples for which that failed.
        """
        return self._draw(shape, generator, conditions, audit=audit)

    @torch.no_grad()
    def trajectory(self, x: Any, *, reverse: bool = False) -> Tensor:
        """Return particles after the preprocessing and after each block.

        Args:
            x: Rows before the first block, in their own units, shape ``(n, d + k)``; with
                ``reverse`` points after the last block, in the flow's coordinates.
            reverse: Invert the blocks, the last one first.

        Returns:
            Shape ``(N + 1, n, d + k)``, in the flow's coordinates, conditions last.
        """
        rows = as_rows(x, self.names, None, self.condition, self.columns)
        x, *c = split_conditions(rows, self.condition)
        x, *c = (x, *c) if reverse else inputs_of(self, x, *c)
        step = self.chain.inverse_trajectory if reverse else self.chain.trajectory
        path: Tensor = in_batches(lambda *part: step(*part).transpose(0, 1), x, *c).transpose(0, 1)
        return torch.cat([path, *(part.to(path).expand(len(path), -1, -1) for part in c)], dim=2)

    @renamed_arguments(share="fraction")
    def between(self, x: Any, fraction: float) -> Tensor:
        """Return particles at a fraction of the way through the blocks, in the units of x.

        The way is measured by length, sum_k (E |x_k - x_{k-1}|^2)^(1/2) over the blocks, however
        unequal the steps are. Within a block particles move straight and at constant speed, which
        is displacement interpolation if its map is optimal.

        Args:
            x: Rows before the first block, in their own units, shape ``(n, d + k)``.
        """
        from wopt.flow.conversions import between

        return between(self, x, fraction)

    def distribution(self) -> FlowDistribution:
        """Return the model as a :class:`torch.distributions.Distribution`."""
        from wopt.flow.conversions import FlowDistribution

        return FlowDistribution(self)

    def to_zuko(self) -> Any:
        """Return the model as a flow of zuko that shares its parameters, by ``wopt-zuko``.

        Conditions are zuko's context: ``zuko_flow(c).log_prob(x)``, ``zuko_flow(c).sample((n,))``.

        Raises:
            PluginError: The plugin is not installed: ``pip install wopt-zuko``.
        """
        return host().registry.function("zuko")(self)

    def save(self, path: str | Path) -> Path:
        """Write the flow to one file, which :func:`wopt.load` reads; see :mod:`wopt.flow.save`."""
        from wopt.flow.save import save_flow

        return save_flow(self, Path(path))

    def _draw(
        self, shape: Shape, generator: Rng, conditions: Any, audit: bool, whole: bool = True
    ) -> tuple[Tensor, Tensor]:
        size = torch.Size([shape] if isinstance(shape, int) else shape)
        generator = generator or torch.Generator().manual_seed(int(torch.randint(2**62, ())))
        base = providing(self.base, Capability.TARGET_SAMPLES, "samples")
        size, inputs = begun(self, base, size, conditions, generator)
        audit = audit and Capability.LOG_DET in self.chain.provides
        back = functools.partial(self._carry, functools.partial(self.map.inverse, audit=audit))
        (z, *c), x, log_det = carried(base, back, inputs, generator, again=whole)
        columns = self.columns if whole and self.columns and self.columns.rounded else None
        x = columns.round(x) if columns else x
        if not base.normalised:
            log_density = torch.full_like(log_det, torch.nan)
        elif columns or (audit and self.pulls_back):
            there, log_det = self._carry(functools.partial(self.map, audit=audit), x, *c)
            log_density = log_det + base.log_prob(there).to(log_det)
            if audit and not columns:
                warn_of_missed(*((back(there, *c)[0], x) if self.chain.folds else (there, z)))
        else:
            log_density = base.log_prob(z).to(log_det) - log_det
        for part in c if conditions is None else ():
            x = torch.cat([x, self.transform.of_conditions.inverse(part.to(x))[0]], dim=1)
        x = columns.seen(x) if columns else x
        return x.reshape(*size, -1), log_density.reshape(size)
