"""Checks of tensors in a run's files: types, shapes, numbers."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from wopt.data.columns import Columns
from wopt.errors import DamagedError
from wopt.reading import parsed_json
from wopt.typed import Number, Typed

__all__ = ["Kept", "check_particles", "check_transform", "parsed_names", "same_kinds"]

_MOST_STEPS = 100_000

_BY_ROW = ("weights", "log_det", "log_density_start")
_BY_VALUE = ("previous", "gradient")


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


def check_particles(
    path: Path, tensors: Mapping[str, Tensor], splits: Sequence[str], dim: int, dtype: str
) -> None:
    """Raise unless the particles of a state fit each other and the run.

    Args:
        path: The file, for messages.
        tensors: ``SPLIT.points`` of shape ``(n, d)`` and tensors that belong to them.
        splits: Names of splits; one may be missing.
        dim: The dimension d.
        dtype: Type of the run's numbers.

    Raises:
        DamagedError: Some tensor is missing, or has the wrong shape, type or values.
    """
    for split in splits:
        own = {k.removeprefix(f"{split}."): v for k, v in tensors.items() if k.startswith(split)}
        if not own:
            continue
        points = own.get("points")
        if points is None or points.ndim != 2 or points.shape[1] != dim or not len(points):
            raise DamagedError(f"{path}: is damaged: `{split}.points` is not of shape (n, {dim})")
        if not bool(points.isfinite().all()):
            raise DamagedError(f"{path}: is damaged: `{split}.points` is not finite")
        for name, value in own.items():
            wanted = points.shape if name in _BY_VALUE else points.shape[:1]
            known = name in (*_BY_ROW, *_BY_VALUE)
            if known and value.shape != wanted:
                raise DamagedError(f"{path}: is damaged: `{split}.{name}` has another shape")
            if value.dtype != getattr(torch, dtype):
                raise DamagedError(f"{path}: is damaged: `{split}.{name}` is {value.dtype}")


def check_transform(
    tensors: Mapping[str, Tensor], names: Sequence[str], columns: Columns | None
) -> None:
    """Raise unless a preprocessing, ``(d,)`` and ``(d, d)``, fits its d columns.

    Raises:
        ValueError: The preprocessing does not fit; the text says why.
    """
    d = len(names)
    wanted = {"shift": (d,), "matrix": (d, d), "inverse_matrix": (d, d)}
    for name, shape in wanted.items():
        value = tensors[name]
        if value.shape != shape:
            raise ValueError(f"`{name}` has shape {tuple(value.shape)}, not {shape}")
        if value.dtype not in (torch.float32, torch.float64) or not bool(value.isfinite().all()):
            raise ValueError(f"`{name}` is not finite, or not floating point")
    if not bool(torch.linalg.slogdet(tensors["matrix"].double())[1].isfinite()):
        raise ValueError("`matrix` is singular")
    given = tensors.get("conditions")
    if given is not None and (
        given.ndim != 2 or not 0 < given.shape[1] < d or not len(given) or not _finite(given)
    ):
        raise ValueError("`conditions` are not rows of conditions")
    width = 0 if given is None else given.shape[1]
    if columns is not None and (columns.names != tuple(names) or columns.condition != width):
        raise ValueError("`columns` do not fit `names` and `conditions`")


def _finite(value: Tensor) -> bool:
    return value.is_floating_point() and bool(value.isfinite().all())


def parsed_names(text: str) -> tuple[str, ...]:
    """Return names of columns from JSON.

    Raises:
        ValueError: The text is not a list of names.

    Example:
        >>> parsed_names('["age", "size"]')
        ('age', 'size')
    """
    names = parsed_json(text)
    if not isinstance(names, list) or not names or not all(isinstance(n, str) for n in names):
        raise ValueError("`names` is not a list of names")
    return tuple(names)


def same_kinds(wanted: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> None:
    """Raise where tensors, of any shape, would silently change their type.

    Raises:
        ValueError: A tensor's type differs from the wanted one, or it has NaN.

    Example:
        >>> same_kinds({"w": torch.ones(2)}, {"w": torch.ones(2, dtype=torch.int64)})
        Traceback (most recent call last):
        ValueError: `w` is torch.int64 and not torch.float32
    """
    for name, value in given.items():
        if name in wanted and value.dtype != wanted[name].dtype:
            raise ValueError(f"`{name}` is {value.dtype} and not {wanted[name].dtype}")
        if value.is_floating_point() and bool(value.isnan().any()):
            raise ValueError(f"`{name}` is not a number somewhere")
