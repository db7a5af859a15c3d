"""Stacks of zuko's lazy transforms that start as the identity."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import torch
from torch import nn
from zuko.flows import (
    ElementWiseTransform,
    GeneralCouplingTransform,
    MaskedAutoregressiveTransform,
)
from zuko.lazy import LazyComposedTransform

from wopt_zuko.univariate import Univariate

Activation = Literal["elu", "gelu", "relu", "silu", "tanh"]
_ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "relu": nn.ReLU,
    "silu": nn.SiLU,
    "tanh": nn.Tanh,
}

Structure = Literal[
    "MaskedAutoregressiveTransform", "GeneralCouplingTransform", "ElementWiseTransform"
]
"""zuko's lazy transforms, which differ in which coordinates depend on which."""


def stack(
    structure: Structure,
    univariate: Callable[[], Univariate],
    features: int,
    context: int,
    transforms: int,
    hidden: Sequence[int],
    activation: Activation,
    passes: int | None = None,
) -> Any:
    """Return a composition of lazy transforms, the identity at the start.

    Orders and masks alternate inside the transforms, so no permutation is left to undo, and with
    the last layer of every net at zero each transform is the identity, hence their composition.

    Args:
        passes: Passes of the autoregressive inverse; ``features`` of them if not given.
    """
    ascending = torch.arange(features)
    made = []
    for k in range(transforms):
        form = univariate()
        shared = {
            "features": features,
            "context": context,
            "univariate": form,
            "shapes": form.shapes,
            "hidden_features": tuple(hidden),
            "activation": _ACTIVATIONS[activation],
        }
        if structure == "MaskedAutoregressiveTransform":
            order = ascending.flip(0) if k % 2 else ascending
            made.append(MaskedAutoregressiveTransform(**shared, passes=passes, order=order))
        elif structure == "GeneralCouplingTransform":
            made.append(GeneralCouplingTransform(**shared, mask=ascending % 2 == k % 2))
        else:
            made.append(ElementWiseTransform(**shared))
        _to_identity(made[-1])
    return LazyComposedTransform(*made)


@torch.no_grad()
def _to_identity(transform: Any) -> None:
    """Set the last layer, which gives the univariate parameters, to zero."""
    # One coordinate without context has no net: its parameters are the transform's own.
    last = transform.hyper[-1] if hasattr(transform, "hyper") else transform.phi
    for parameter in last.parameters():
        parameter.zero_()
