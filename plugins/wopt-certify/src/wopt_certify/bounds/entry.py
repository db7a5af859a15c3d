"""One bound at one step, with its status and its refutation."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AliasChoices, BeforeValidator, Field

from wopt.typed import Typed

__all__ = ["Entry", "Floor", "Label", "least"]


class Label(enum.StrEnum):
    """The status of a bound."""

    EXACT = "exact"
    """The bound needs no residual, or all residuals are zero."""
    GIVEN_EPS = "bound given eps"
    """The bound is a theorem, given the residuals."""
    GIVEN_SEEN = "bound given the eps seen"
    """The bound is a theorem, given residuals that are lower bounds by test fields."""
    ESTIMATE = "estimate"
    """An input of the bound was measured on samples."""


@dataclasses.dataclass(frozen=True)
class Floor(Typed):
    """A lower limit of a quantity, known or estimated, which refutes upper bounds below it.

    Attributes:
        value: The limit, at the stated level; an estimate has no level.
        by: The reason for the limit.
        estimated: Whether it is an estimate. An estimate is not a fact, but an upper bound that
            uses the errors seen is not credible below it.
        step: The earlier step whose gap it limits, where a refutation there is carried on.
    """

    value: float
    by: str
    estimated: bool = False
    step: int | None = None

    def refutes(self, bound: Entry) -> bool:
        """Return whether the limit contradicts an upper bound."""
        if bound.value is None or bound.value >= self.value:
            return False
        return not self.estimated or bound.label == Label.GIVEN_SEEN

    def __str__(self) -> str:
        at = "" if self.step is None else f"at step {self.step}, "
        return f"{at}{self.by}: {'about' if self.estimated else 'at least'} {self.value:.4g}"


_KEYS = AliasChoices("refuted_by", "refuted")


def _of_file(value: Any) -> Any:
    """Return the value in a file; earlier versions hold a text, empty if nothing is refuted."""
    return value or None


@dataclasses.dataclass(frozen=True)
class Entry(Typed):
    """One bound at one step.

    Attributes:
        value: The bound; ``None`` if it is not available.
        label: The status of the bound; ``None`` without a value.
        reason: Why there is no value, in one line; empty with one.
        refuted: The limit that contradicts it, or ``None``; in the file ``refuted_by``, and in
            words ``refuted``.
    """

    value: float | None
    label: Label | None = None
    reason: str = ""
    refuted: Annotated[Floor | None, Field(validation_alias=_KEYS), BeforeValidator(_of_file)] = (
        None
    )

    @property
    def stands(self) -> bool:
        """Whether there is a value that nothing refutes."""
        return self.value is not None and self.refuted is None

    def to_dict(self) -> dict[str, Any]:
        """Return the entry of the file."""
        return super().to_dict() | {"refuted": str(self.refuted or "")}

    @classmethod
    def _key(cls, name: str) -> str:
        return "refuted_by" if name == "refuted" else name


def least(table: Mapping[str, Entry]) -> tuple[str, float] | None:
    """Return the smallest bound that nothing refutes, as its name and its value.

    Example:
        >>> least({"a": Entry(2.0), "b": Entry(3.0), "c": Entry(1.0, refuted=Floor(1.5, "a fact"))})
        ('a', 2.0)
        >>> least({}) is None
        True
    """
    standing = [(n, e.value) for n, e in table.items() if e.value is not None and e.stands]
    return min(standing, key=lambda pair: pair[1], default=None)
