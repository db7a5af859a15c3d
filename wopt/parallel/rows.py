"""Functions of rows, computed by all processes together, and what shards draw."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from wopt.parallel.team import Team

__all__ = ["ShardDraws", "over_rows"]


class ShardDraws:
    """Seeds torch's global generator for every shard, from its current state.

    Afterwards the state is restored, or advanced by one draw if a shard drew anything, so that
    functions without draws leave later draws as in one process.

    Example:
        >>> _ = torch.manual_seed(0)
        >>> with ShardDraws() as draws:
        ...     both = [float(torch.rand(())) for k in (0, 1) if not draws.begin(k)]
        >>> _ = torch.manual_seed(0)
        >>> with ShardDraws() as draws:
        ...     draws.begin(1)
        ...     float(torch.rand(())) == both[1]
        True
    """

    def __init__(self) -> None:
        self._before = torch.get_rng_state()
        rng = torch.Generator()
        rng.set_state(self._before)
        self._seed = int(torch.randint(2**62, (), generator=rng))
        self._further = rng.get_state()
        self._begun: Tensor | None = None
        self._drew = False

    def __enter__(self) -> ShardDraws:
        return self

    def begin(self, shard: int) -> None:
        """Seed the generator for a shard."""
        self._look()
        torch.manual_seed(self._seed + shard)
        self._begun = torch.get_rng_state()

    def _look(self) -> None:
        if self._begun is not None and not self._drew:
            self._drew = not torch.equal(self._begun, torch.get_rng_state())

    def __exit__(self, *_: object) -> None:
        self._look()
        torch.set_rng_state(self._further if self._drew else self._before)


Rowwise = Callable[..., Any]
"""A function of tensors ``(n, ...)`` that maps each row independently; it may draw numbers."""


def over_rows(
    of: Team, function: Rowwise, inputs: Sequence[Tensor], parameters: Sequence[Tensor] = ()
) -> Any:
    """Return ``function(*inputs)``, shape ``(n, ...)`` or a tuple, each process doing its shards.

    All processes receive all rows of the result. The backward pass sums the parameters' gradients
    over shards in one message, so that they are those of all rows, with the same bits on every
    process. The loss must be the same on every process. Second derivatives are not supported.

    A function that draws from torch's global generator draws for every shard from its own seed, see
    :class:`~wopt.parallel.rows.ShardDraws`.

    Args:
        of: The processes.
        function: The function of rows.
        inputs: Tensors of shape ``(n, ...)``, the same on every process.
        parameters: Other tensors that receive gradients.

    Example:
        >>> from wopt.parallel.team import Team
        >>> w = torch.tensor(2.0, requires_grad=True)
        >>> x = torch.arange(64.0)[:, None]
        >>> y = over_rows(Team(fixed=4), lambda x: w * x, [x], [w])
        >>> y.mean().backward()
        >>> torch.equal(y, 2 * x), float(w.grad)
        (True, 31.5)
    """
    if not of.shares(len(inputs[0])):
        return function(*inputs)
    tensors = (*inputs, *parameters)
    if torch.is_grad_enabled() and any(t.requires_grad for t in tensors):
        made = _OverRows.apply(of, function, len(inputs), *tensors)  # type: ignore[no-untyped-call]
    else:
        own = of.together(lambda: _own(of, function, inputs))
        made = _gathered(of, own, len(inputs[0]))
    return made if len(made) > 1 else made[0]


def _own(of: Team, function: Rowwise, inputs: Sequence[Tensor]) -> list[list[Tensor]]:
    """Return the outputs of each of this process's shards."""
    bounds, outputs = of.bounds(len(inputs[0])), []
    with ShardDraws() as draws:
        for shard in of.mine:
            draws.begin(shard)
            made = function(*(x[bounds[shard]] for x in inputs))
            outputs.append([made] if isinstance(made, Tensor) else list(made))
    return outputs


def _gathered(of: Team, outputs: list[list[Tensor]], n: int) -> tuple[Tensor, ...]:
    """Return the outputs of all rows, sent in one message."""
    parts = [torch.cat(each).detach() for each in zip(*outputs, strict=True)]
    flat = torch.cat([part.reshape(len(part), -1) for part in parts], dim=1)
    columns = of.gather(flat, n).split([part[0].numel() for part in parts], dim=1)
    shapes = [part.shape[1:] for part in parts]
    return tuple(c.reshape(n, *s).to(p) for c, s, p in zip(columns, shapes, parts, strict=True))


class _OverRows(torch.autograd.Function):
    """Every shard keeps its own graph, so that its gradients can be summed in order."""

    @staticmethod
    def forward(
        ctx: Any, of: Team, function: Rowwise, count: int, *tensors: Tensor
    ) -> tuple[Tensor, ...]:
        """Return outputs of all rows, shape ``(n, ...)``."""
        inputs, parameters = tensors[:count], tensors[count:]
        wanted = ctx.needs_input_grad[3:]
        leaves: list[list[Tensor]] = []

        def kept(*rows: Tensor) -> Any:
            """Return outputs of a shard's rows, shape ``(n, ...)``, keeping the leaves."""
            own = [x.detach().requires_grad_(w) for x, w in zip(rows, wanted, strict=False)]
            leaves.append(own)
            return function(*own)

        with torch.enable_grad():
            outputs = of.together(lambda: _own(of, kept, inputs))
        ctx.of, ctx.outputs, ctx.leaves, ctx.wanted = of, outputs, leaves, wanted
        ctx.parameters = [p for p, w in zip(parameters, wanted[count:], strict=True) if w]
        ctx.n, ctx.count = len(inputs[0]), count
        return _gathered(of, outputs, ctx.n)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        """Return gradients of the inputs, shape ``(n, ...)``, and of the parameters."""
        of, parameters, bounds = ctx.of, ctx.parameters, ctx.of.bounds(ctx.n)
        own, sums = [], []
        for shard, outputs, leaves in zip(of.mine, ctx.outputs, ctx.leaves, strict=True):
            asked = [leaf for leaf in leaves if leaf.requires_grad]
            pairs = [
                (out, g[bounds[shard]])
                for out, g in zip(outputs, gradients, strict=True)
                if out.requires_grad
            ]
            found = torch.autograd.grad(
                [out for out, _ in pairs],
                [*asked, *parameters],
                [g for _, g in pairs],
                allow_unused=True,
                materialize_grads=True,
            )
            own.append(found[: len(asked)])
            sums.append(_flat(found[len(asked) :]))
        rows = iter([of.gather(torch.cat(part), ctx.n) for part in zip(*own, strict=True)])
        of_parameters = iter(_split(of.sum(sums), parameters) if parameters else ())
        back = [
            next(rows if k < ctx.count else of_parameters) if wanted else None
            for k, wanted in enumerate(ctx.wanted)
        ]
        return None, None, None, *back


def _flat(tensors: Sequence[Tensor]) -> Tensor:
    return torch.cat([t.reshape(-1) for t in tensors]) if tensors else torch.zeros(0)


def _split(flat: Tensor, like: Sequence[Tensor]) -> list[Tensor]:
    parts = flat.split([p.numel() for p in like])
    return [part.view_as(p) for part, p in zip(parts, like, strict=True)]
