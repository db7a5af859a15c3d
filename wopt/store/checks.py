"""Checks of a run's files that its schemas and documents do not make."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from wopt.data.columns import Columns
from wopt.typed import Number, Typed

__all__ = ["Kept", "check_transform", "same_kinds"]

_MOST_STEPS = 100_000


@dataclasses.dataclass(frozen=True)
class Kept(Typed):
    """The metadata of ``state.safetensors``.

    Attributes:
        step: Number of the last finished step.
        step_size: Step size h of that step; ``None`` before the first.
        energy: Value of the objective after that step.
        plan: The scheme's numbers for the next step.
        refined: Whether all blocks were trained together after that step.
        ahead: Whether the newest block has not been applied to the training particles yet.
        begun: Numbers that identify the start's training particles, where they are not stored.
        pieces: Name of the index of files with the training particles, where they are not here.
    """

    step: int
    step_size: float | None
    energy: Number
    plan: dict[str, Number]
    refined: bool = False
    ahead: bool = False
    begun: tuple[float, ...] | None = None
    pieces: str | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.step <= _MOST_STEPS:
            raise ValueError(f"it says that {self.step} steps were made")
        if self.ahead and not self.step:
            raise ValueError("it has a block ahead and no step")


def check_transform(
    tensors: Mapping[str, Tensor], names: Sequence[str], columns: Columns | None
) -> None:
    """Raise unless a preprocessing, ``(d,)`` and ``(d, d)``, is invertible and fits its columns."""
    if not bool(torch.linalg.slogdet(tensors["matrix"].double())[1].isfinite()):
        raise ValueError("`matrix` is singular")
    width = tensors["conditions"].shape[1] if "conditions" in tensors else 0
    if width >= len(names):
        raise ValueError("all columns are conditions")
    if columns is not None and (columns.names != tuple(names) or columns.condition != width):
        raise ValueError("`columns` do not fit `names` and `conditions`")


def same_kinds(wanted: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> None:
    """Raise where tensors, of any shape, would silently change their type."""
    for name, value in given.items():
        if name in wanted and value.dtype != wanted[name].dtype:
            raise ValueError(f"`{name}` is {value.dtype} and not {wanted[name].dtype}")
        if value.is_floating_point() and bool(value.isnan().any()):
            raise ValueError(f"`{name}` is not a number somewhere")
