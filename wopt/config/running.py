"""The options of how a run is carried out: by how many shards, in how much memory."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from wopt.component import Component, fields

__all__ = ["Running"]


def _power_of_two(shards: int | None) -> int | None:
    if shards is not None and shards & (shards - 1):
        raise ValueError(f"{shards} is no power of two; choose 2, 4, 8, ...")
    return shards


@fields
class Running(Component):
    """How a run is carried out, by one process or by those that ``torchrun`` starts.

    With ``shards`` every sum over particles is made over so many parts in a fixed order, each on
    one thread, so that 1, 2, 4, ... processes give the same bits on CPUs of one kind. Without it
    they agree to rounding.

    Source: docs/scaling.md.

    Example:
        >>> Running(shards=4).shards
        4
    """

    shards: Annotated[
        int | None,
        Field(
            ge=1,
            description="parts, a power of two, over which sums are made in a fixed order: the "
            "number of processes, any that divides it, then changes no bit; by default one part a "
            "process",
        ),
        AfterValidator(_power_of_two),
    ] = None
    timeout: Annotated[
        float,
        Field(
            gt=0,
            description="seconds after which a process that does not answer ends the others; more "
            "than any step of one process alone, such as writing a checkpoint, may take",
        ),
    ] = 120.0
