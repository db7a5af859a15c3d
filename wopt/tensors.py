"""Files of tensors (safetensors), which run no code when they are read."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from pathlib import Path

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from wopt.errors import DamagedError
from wopt.files import replacing
from wopt.memory import physical
from wopt.reading import opened, printable

_SHARE = 2
"""The largest size of a file is the machine's memory divided by this."""

_AGAIN = "restore it from a copy, or run again"


@dataclasses.dataclass(frozen=True)
class Array:
    """A tensor that a file may hold.

    Attributes:
        axes: Its axes, by name or by size; axes of one name have one length in a file.
        needed: Whether the file must hold it.
        finite: Whether all its numbers must be finite.
        dtype: Its dtype; any of floating point by default.
    """

    axes: str
    needed: bool = False
    finite: bool = False
    dtype: torch.dtype | None = None


SCHEMAS: dict[str, dict[str, Array]] = {
    "particles": {  # of each split in state.safetensors and in its pieces
        "points": Array("n d", needed=True, finite=True),
        "weights": Array("n"),
        "log_det": Array("n"),
        "log_density_start": Array("n"),
        "previous": Array("n d"),
        "gradient": Array("n d"),
    },
    "state": {
        "chains": Array("chains k"),
    },
    "transform": {
        "shift": Array("d", needed=True, finite=True),
        "matrix": Array("d d", needed=True, finite=True),
        "inverse_matrix": Array("d d", needed=True, finite=True),
        "conditions": Array("n c", finite=True),
    },
}
"""The tensors of each kind of file; those of a block are the block's own."""


def write_tensors(path: Path, tensors: dict[str, Tensor], metadata: dict[str, str]) -> None:
    """Write tensors of any shape to a safetensors file atomically."""
    # Copies, since safetensors refuses tensors that share memory (tied parameters, say).
    copies = {k: v.detach().cpu().clone().contiguous() for k, v in tensors.items()}
    with replacing(path) as temporary:
        temporary.write_bytes(safetensors.torch.save(copies, metadata))


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return a safetensors file's tensors, of any shape, and metadata."""
    try:
        with opened(path, physical() // _SHARE) as handle:
            # Read by its descriptor, so that it is the checked file.
            name = f"/dev/fd/{handle}"
            with safetensors.safe_open(name if os.path.exists(name) else path, "pt") as file:
                return {k: file.get_tensor(k) for k in file.keys()}, dict(file.metadata() or {})  # noqa: SIM118
    except FileNotFoundError:
        raise DamagedError(
            f"{path}: is missing, so the run is damaged; `wopt doctor {path.parent}` says what can "
            "be rescued"
        ) from None
    except _OF_READERS as error:
        text = printable(" ".join(str(error).split()))[:200]
        raise DamagedError(f"{path}: is damaged or truncated ({text}); {_AGAIN}") from None


_OF_READERS = (
    OSError, safetensors.SafetensorError, ValueError, TypeError, KeyError, RuntimeError,
)  # fmt: skip
"""Errors of safetensors and torch for damaged headers or unknown types."""


def check_tensors(
    path: Path,
    tensors: Mapping[str, Tensor],
    schema: Mapping[str, Array],
    *,
    prefix: str = "",
    dtype: torch.dtype | None = None,
    remedy: str = _AGAIN,
    **sizes: int,
) -> dict[str, Tensor]:
    """Return the tensors of a file that its schema knows, of the shapes that it says.

    Example:
        >>> schema = {"points": Array("n d", needed=True), "weights": Array("n")}
        >>> tensors = {"points": torch.zeros(5, 2), "weights": torch.ones(4)}
        >>> check_tensors(Path("a.safetensors"), tensors, schema)
        Traceback (most recent call last):
        wopt.errors.DamagedError: a.safetensors: is damaged: `weights` has shape (4,), wanted ...
    """
    for name, array in schema.items():
        if name in tensors:
            why = _wrong(tensors[name], array, array.dtype or dtype, sizes)
        else:
            why = "is missing" if array.needed else None
        if why:
            raise DamagedError(f"{path}: is damaged: `{prefix}{name}` {why}; {remedy}")
    return {name: tensors[name] for name in schema if name in tensors}


def _wrong(
    value: Tensor, array: Array, dtype: torch.dtype | None, sizes: dict[str, int]
) -> str | None:
    """Return what is wrong with a tensor, and add the lengths of its axes to ``sizes``."""
    axes = array.axes.split()
    if value.ndim == len(axes):
        for axis, size in zip(axes, value.shape, strict=True):
            sizes.setdefault(axis, int(axis) if axis.isdecimal() else size)
    wanted = [sizes.get(axis, axis) for axis in axes]
    if list(value.shape) != wanted:
        shape = ", ".join(map(str, wanted))
        return f"has shape {tuple(value.shape)}, wanted is ({shape})"
    if not value.numel():
        return "is empty"
    if not value.is_floating_point() if dtype is None else value.dtype != dtype:
        return f"is {value.dtype}, wanted is {dtype or 'floating point'}"
    if array.finite and not bool(value.isfinite().all()):
        return "is not finite"
    return None
