"""The precision in which the nets of blocks multiply matrices while they are trained."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["Precision", "asked", "linear", "lowered", "product", "training_in"]

Precision = Literal["tf32", "bf16"]

_asked: Precision | None = None
_now: Precision | None = None


@contextlib.contextmanager
def training_in(precision: Precision | None) -> Iterator[None]:
    """Let training inside multiply in this precision; ``None``: in that of its tensors."""
    global _asked
    before, _asked = _asked, precision
    try:
        yield
    finally:
        _asked = before


def asked() -> Precision | None:
    """Return the precision of training, and so whether audits are to be in float64."""
    return _asked


@contextlib.contextmanager
def lowered() -> Iterator[None]:
    """Multiply in the precision that was asked for inside: an iteration of training does."""
    global _now
    before, _now = _now, _asked
    try:
        yield
    finally:
        _now = before


def product(a: Tensor, w: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return ``a @ w + bias``, matrices, the product in the precision of training.

    Inputs are rounded to it, by bf16 the result too; sums are made in float32. What comes back, and
    so all that is made of it by elements, has the dtype of ``a``. Its gradients are such products
    too, of any order. The products of a log-det do not go through here.

    Args:
        a: Shape ``(n, k)``.
        w: Shape ``(k, m)``.
        bias: Added in the dtype of ``a``.

    Example:
        >>> a, w = torch.full((1, 1), 1 + 2**-10), torch.ones(1, 1)
        >>> with training_in("bf16"), lowered():
        ...     float(product(a, w))
        1.0
        >>> float(product(a, w))
        1.0009765625
    """
    if _now is None:
        return a @ w if bias is None else torch.addmm(bias, a, w)
    made: Tensor = _Product.apply(a, w, _now)  # type: ignore[no-untyped-call]
    return made if bias is None else made + bias


def linear(a: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Return ``a @ weight^T + bias``, as :func:`product` does."""
    return F.linear(a, weight, bias) if _now is None else product(a, weight.mT, bias)


class _Product(torch.autograd.Function):
    """A matrix product whose gradients are such products too."""

    generate_vmap_rule = True

    @staticmethod
    def forward(a: Tensor, w: Tensor, precision: Precision) -> Tensor:
        if precision == "bf16":
            return (a.bfloat16() @ w.bfloat16()).to(a.dtype)
        with _tf32():
            return a @ w

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor, Precision], _: Tensor) -> None:
        ctx.save_for_backward(*inputs[:2])
        ctx.precision = inputs[2]

    @staticmethod
    def backward(ctx: Any, to: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
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
