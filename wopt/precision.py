"""The precision of matrix products in the nets of blocks during training."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Precision = Literal["tf32", "bf16"]


def affine_product(
    a: Tensor, w: Tensor, bias: Tensor | None = None, precision: Precision | None = None
) -> Tensor:
    """Return ``a @ w + bias``, shape ``(n, m)``, the product in a precision.

    Inputs are rounded to that precision, with bf16 the result too; sums are made in float32. The
    result has the dtype of ``a``. Its gradients of any order are such products too.

    Args:
        a: Left factor, shape ``(n, k)``.
        w: Right factor, shape ``(k, m)``.
        bias: Bias, shape ``(m,)``, added in the dtype of ``a``.
        precision: The precision; ``None`` for that of the tensors.

    Example:
        >>> a, w = torch.full((1, 1), 1 + 2**-10), torch.ones(1, 1)
        >>> float(affine_product(a, w, None, "bf16")), float(affine_product(a, w))
        (1.0, 1.0009765625)
    """
    if precision is None:
        return a @ w if bias is None else torch.addmm(bias, a, w)
    made: Tensor = _Product.apply(a, w, precision)  # type: ignore[no-untyped-call]
    return made if bias is None else made + bias


class Rounding(nn.Module):
    """A net whose products are rounded during an iteration, see :func:`lowered`.

    Products in a log-det are not to use :meth:`product`.
    """

    rounding: Precision | None = None

    def product(self, a: Tensor, w: Tensor, bias: Tensor | None = None) -> Tensor:
        """Return ``a @ w + bias``, shape ``(n, m)``, as :func:`affine_product` does."""
        return affine_product(a, w, bias, self.rounding)

    def linear(self, a: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        """Return ``a @ weight^T + bias``, shape ``(n, m)``, likewise."""
        return (
            F.linear(a, weight, bias) if self.rounding is None else self.product(a, weight.mT, bias)
        )


@contextlib.contextmanager
def lowered(block: nn.Module, precision: Precision | None) -> Iterator[None]:
    """Let the nets of a block round their products inside, as in an iteration of training."""
    nets = (
        [] if precision is None else [net for net in block.modules() if isinstance(net, Rounding)]
    )
    for net in nets:
        net.rounding = precision
    try:
        yield
    finally:
        for net in nets:
            net.rounding = None


class _Product(torch.autograd.Function):
    """A matrix product with gradients in the same precision."""

    generate_vmap_rule = True

    @staticmethod
    def forward(a: Tensor, w: Tensor, precision: Precision) -> Tensor:
        """Return a @ w, shape ``(n, m)``."""
        if precision == "bf16":
            return (a.bfloat16() @ w.bfloat16()).to(a.dtype)
        with _tf32():
            return a @ w

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor, Precision], _: Tensor) -> None:
        """Keep the factors, of any shape."""
        ctx.save_for_backward(*inputs[:2])
        ctx.precision = inputs[2]

    @staticmethod
    def backward(ctx: Any, to: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        """Return the gradients of a, shape ``(n, k)``, and w, ``(k, m)``."""
        (a, w), (of_a, of_w, _) = ctx.saved_tensors, ctx.needs_input_grad
        back, by = _Product.apply, ctx.precision
        return (
            back(to, w.mT, by) if of_a else None,  # type: ignore[no-untyped-call]
            back(a.mT, to, by) if of_w else None,  # type: ignore[no-untyped-call]
            None,
        )


@contextlib.contextmanager
def _tf32() -> Iterator[None]:
    """Let CUDA devices round the inputs of products to 10 bits inside."""
    before = torch.backends.cuda.matmul.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = True
    try:
        yield
    finally:
        torch.backends.cuda.matmul.allow_tf32 = before
