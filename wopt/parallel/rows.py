"""Functions of rows, computed by all processes together, and what each draws."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from wopt.parallel.team import Team


@contextlib.contextmanager
def own_draws(of: Team) -> Iterator[None]:
    """Seed torch's global generator for this process, from its current state, inside.

    Afterwards the state is restored, or advanced by one draw if anything was drawn, so that
    functions without draws leave later draws as in one process.
    """
    before = torch.get_rng_state()
    seed = int(torch.randint(2**62, ()))
    further = torch.get_rng_state()
    begun = torch.manual_seed(seed + of.rank).get_state()
    try:
        yield
    finally:
        drew = not torch.equal(begun, torch.get_rng_state())
        torch.set_rng_state(further if drew else before)


Rowwise = Callable[..., Any]
"""A function of tensors ``(n, ...)`` that maps each row independently; it may draw numbers."""


def over_rows(
    of: Team, function: Rowwise, inputs: Sequence[Tensor], parameters: Sequence[Tensor] = ()
) -> Any:
    """Return ``function(*inputs)``, shape ``(n, ...)`` or a tuple, each process doing its rows.

    All processes receive all rows of the result. The backward pass sums the parameters' gradients
    over processes in one message, so that they are those of all rows, with the same bits on every
    process. The loss must be the same on every process. Second derivatives are not supported. A
    function that draws from torch's global generator draws for every process from its own seed.

    Args:
        of: The processes.
        function: The function of rows.
        inputs: Tensors of shape ``(n, ...)``, the same on every process.
        parameters: Other tensors that receive gradients.

    Example:
        >>> from wopt.parallel.team import Team
        >>> over_rows(Team(), lambda x: 2 * x, [torch.ones(2, 1)]).tolist()
        [[2.0], [2.0]]
    """
    if not of.shares(len(inputs[0])):
        return function(*inputs)
    tensors = (*inputs, *parameters)
    if torch.is_grad_enabled() and any(t.requires_grad for t in tensors):
        made = _OverRows.apply(of, function, len(inputs), *tensors)  # type: ignore[no-untyped-call]
    else:
        own = [x[of.span(len(x))] for x in inputs]
        made = _gathered(of, of.together(lambda: _own(of, function, own)), len(inputs[0]))
    return made if len(made) > 1 else made[0]


def _own(of: Team, function: Rowwise, own: Sequence[Tensor]) -> list[Tensor]:
    """Return the outputs of this process's rows."""
    with own_draws(of):
        made = function(*own)
    return [made] if isinstance(made, Tensor) else list(made)


def _gathered(of: Team, parts: list[Tensor], n: int) -> tuple[Tensor, ...]:
    """Return the outputs of all rows, sent in one message."""
    flat = torch.cat([part.detach().reshape(len(part), -1) for part in parts], dim=1)
    columns = of.gather(flat, n).split([part[0].numel() for part in parts], dim=1)
    return tuple(
        c.reshape(n, *p.shape[1:]).to(p.dtype) for c, p in zip(columns, parts, strict=True)
    )


class _OverRows(torch.autograd.Function):
    """Every process keeps the graph of its own rows."""

    @staticmethod
    def forward(
        ctx: Any, of: Team, function: Rowwise, count: int, *tensors: Tensor
    ) -> tuple[Tensor, ...]:
        """Return outputs of all rows, shape ``(n, ...)``."""
        ctx.of, ctx.n, ctx.count = of, len(tensors[0]), count
        ctx.wanted = wanted = ctx.needs_input_grad[3:]
        span = of.span(ctx.n)
        ctx.own = [
            x[span].detach().requires_grad_(w)
            for x, w in zip(tensors[:count], wanted[:count], strict=True)
        ]
        with torch.enable_grad():
            ctx.outputs = of.together(lambda: _own(of, function, ctx.own))
        ctx.parameters = [p for p, w in zip(tensors, wanted, strict=True) if w][
            sum(wanted[:count]) :
        ]
        return _gathered(of, ctx.outputs, ctx.n)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        """Return gradients of the inputs, shape ``(n, ...)``, and of the parameters."""
        of, parameters, span = ctx.of, ctx.parameters, ctx.of.span(ctx.n)
        leaves = [leaf for leaf in ctx.own if leaf.requires_grad]
        pairs = [
            (out, g[span])
            for out, g in zip(ctx.outputs, gradients, strict=True)
            if out.requires_grad
        ]
        found = torch.autograd.grad(
            [out for out, _ in pairs],
            [*leaves, *parameters],
            [g for _, g in pairs],
            allow_unused=True,
            materialize_grads=True,
        )
        back = [of.gather(part, ctx.n) for part in found[: len(leaves)]]
        if parameters:
            flat = of.sum(torch.cat([part.reshape(-1) for part in found[len(leaves) :]]))
            parts = flat.split([p.numel() for p in parameters])
            back += [part.view_as(p) for part, p in zip(parts, parameters, strict=True)]
        of_wanted = iter(back)
        return None, None, None, *(next(of_wanted) if w else None for w in ctx.wanted)
