"""What processes send each other, and how a silent one is named."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from wopt.errors import TeamError

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
            "steps are kept: go on with `wopt resume DIRECTORY`, with any number of processes"
        ) from None


def all_reduce(flat: Tensor) -> Tensor:
    """Return the sum of a vector, shape ``(p,)``, over all processes, the same bits on each."""
    with _answered():
        torch.distributed.all_reduce(flat)
    return flat


def of_first(value: Any) -> Any:
    """Return the first process's value."""
    sent = [value]
    with _answered():
        torch.distributed.broadcast_object_list(sent, device=torch.device("cpu"))
    return sent[0]


def of_each(value: Any, size: int) -> list[Any]:
    """Return the values of all processes, in the order of their ranks."""
    received: list[Any] = [None] * size
    with _answered():
        torch.distributed.all_gather_object(received, value)
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
    own = whole[spans[rank]]
    padded = whole.new_zeros(max(s.stop - s.start for s in spans), *whole.shape[1:])
    padded[: len(own)] = own
    received = [torch.empty_like(padded) for _ in spans]
    with _answered():
        torch.distributed.all_gather(received, padded)
    for span, rows in zip(spans, received, strict=True):
        whole[span] = rows[: span.stop - span.start]
