"""What processes send each other and agree on, and how a silent one is named."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor

from wopt import errors
from wopt.errors import TeamError, WoptError

__all__ = [
    "all_gather",
    "all_reduce",
    "broadcast",
    "exchange",
    "numbers_in",
    "raise_first",
    "with_numbers",
]

T = TypeVar("T")
Number = float | int | bool | None


def numbers_in(value: Any) -> list[Number]:
    """Return the numbers in a value, and ``None``, in order, without texts and tensors.

    It looks into tuples, lists, mappings and dataclasses.
    """
    if value is None or isinstance(value, float | int):
        return [value]
    return [number for part in _parts(value).values() for number in numbers_in(part)]


def with_numbers(value: T, numbers: Iterator[float | None]) -> T:
    """Return a value with its numbers replaced by others."""
    made: Any
    if value is None or isinstance(value, float | int):
        number = next(numbers)
        made = number if number is None or value is None else type(value)(number)
        return made
    parts = {key: with_numbers(part, numbers) for key, part in _parts(value).items()}
    if not parts:
        return value
    if isinstance(value, Mapping):
        made = parts
    elif isinstance(value, tuple | list):
        of = type(value)
        made = of(*parts.values()) if hasattr(of, "_fields") else of(parts.values())
    else:
        made = dataclasses.replace(value, **parts)  # type: ignore[type-var]
    return made


def _parts(value: Any) -> dict[Any, Any]:
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, tuple | list):
        return dict(enumerate(value))
    if dataclasses.is_dataclass(value):
        return {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
    return {}


_TEXT = 2048
"""Largest number of bytes of an error sent to others."""

_SMALL = 2**20
"""Largest number of elements for which rows are copied and exchanged in one message."""


@contextlib.contextmanager
def _answered() -> Iterator[None]:
    """Turn a library's error about a lost process into a :class:`TeamError`."""
    try:
        yield
    except RuntimeError as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        late = "timed out" in reason.lower() or "timeout" in reason.lower()
        what = "did not answer within run.timeout" if late else "has ended"
        raise TeamError(
            f"another process of this run {what}, so this one ends too ({reason[:160]}). Finished "
            "steps are kept: go on with `wopt resume DIRECTORY`, with any number of processes that "
            "run.shards allows"
        ) from None


def all_reduce(flat: Tensor) -> Tensor:
    """Return the sum of a vector, shape ``(p,)``, over all processes, the same bits on each."""
    with _answered():
        torch.distributed.all_reduce(flat)
    return flat


def all_gather(flat: Tensor, size: int) -> list[Tensor]:
    """Return the vectors of all processes, shape ``(p,)``, in the order of their ranks."""
    received = [torch.empty_like(flat) for _ in range(size)]
    with _answered():
        torch.distributed.all_gather(received, flat)
    return received


def broadcast(tensor: Tensor, rank: int = 0) -> None:
    """Give every process the tensor of one, of any shape, in place."""
    whole = tensor if tensor.is_contiguous() else tensor.contiguous()
    with _answered():
        torch.distributed.broadcast(whole, rank)
    if whole is not tensor:
        tensor.copy_(whole)


def exchange(whole: Tensor, spans: Sequence[slice], rank: int) -> None:
    """Give every process all rows, shape ``(n, ...)``, of which each has one span, in place.

    Few rows are padded to equal numbers and sent in one message; many are sent without a copy in
    memory.
    """
    if whole.numel() > _SMALL:
        for source, span in enumerate(spans):
            broadcast(whole[span], source)
        return
    most = max(span.stop - span.start for span in spans)
    own = whole[spans[rank]]
    padded = whole.new_zeros(most, *whole.shape[1:])
    padded[: len(own)] = own
    for span, rows in zip(spans, all_gather(padded, len(spans)), strict=True):
        whole[span] = rows[: span.stop - span.start]


def raise_first(own: WoptError | None, size: int) -> None:
    """Raise on every process the error of the first that has one."""
    reported = b"" if own is None else f"{type(own).__name__}: {own}".encode()[:_TEXT]
    padded = torch.zeros(_TEXT, dtype=torch.uint8)
    padded[: len(reported)] = torch.tensor(list(reported), dtype=torch.uint8)
    for received in all_gather(padded, size):
        text = bytes(received.tolist()).rstrip(b"\0").decode(errors="ignore")
        if text:
            name, _, message = text.partition(": ")
            raise getattr(errors, name, WoptError)(message)
