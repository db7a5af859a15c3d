"""Files of tensors (safetensors), which run no code when they are read."""

from __future__ import annotations

import os
from pathlib import Path

import safetensors
import safetensors.torch
from torch import Tensor

from wopt.errors import DamagedError
from wopt.files import replacing
from wopt.memory import physical
from wopt.reading import opened, printable

__all__ = ["read_tensors", "write_tensors"]

_SHARE = 2
"""The largest size of a file is the machine's memory divided by this."""


def write_tensors(path: Path, tensors: dict[str, Tensor], metadata: dict[str, str]) -> None:
    """Write tensors of any shape to a safetensors file atomically."""
    # Copies, since safetensors refuses tensors that share memory (tied parameters, say).
    copies = {k: v.detach().cpu().clone().contiguous() for k, v in tensors.items()}
    with replacing(path) as temporary:
        temporary.write_bytes(safetensors.torch.save(copies, metadata))


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return a safetensors file's tensors, of any shape, and metadata.

    Raises:
        DamagedError: The file is missing, truncated, damaged, not a regular file, or larger than
            half of the memory.
    """
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
        raise DamagedError(
            f"{path}: is damaged or truncated ({text}); restore it from a copy, or run again"
        ) from None


_OF_READERS = (
    OSError, safetensors.SafetensorError, ValueError, TypeError, KeyError, RuntimeError,
)  # fmt: skip
"""Errors of safetensors and torch for damaged headers or unknown types."""
