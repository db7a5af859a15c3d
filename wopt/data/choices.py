"""Options of a table: which rows and columns are used, and of which kinds the columns are."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Literal

from wopt.data.assemble import check_context
from wopt.data.columns import Kind
from wopt.data.tables import pick_columns
from wopt.data.where import parse_where
from wopt.errors import ConfigError

__all__ = ["Choices", "Wish", "with_conditions"]

Wish = Literal["positive", "infer"] | tuple[float, float]


@dataclasses.dataclass(frozen=True)
class Choices:
    """Options of a source for its table; see :mod:`wopt.data.options`."""

    columns: Sequence[str | int] | None = None
    nan: Literal["refuse", "drop", "mask"] = "refuse"
    context: Sequence[str | int] | None = None
    dequantise: float = 0.0
    kinds: Mapping[str, Kind] | None = None
    support: Mapping[str, Wish] | None = None
    weights: str | None = None
    where: str | None = None
    time: str | None = None
    at: float | None = None

    def __post_init__(self) -> None:
        if self.at is not None and self.time is None:
            raise ConfigError('`at` says which rows of a `time` column to use; name it: time = "t"')

    @property
    def conditions(self) -> list[str | int]:
        """The context columns, with that of the time if the model is one for all times."""
        given = list(self.context or [])
        if self.time is not None and self.at is None and self.time not in given:
            given.append(self.time)
        return given

    def default_columns(self, names: Sequence[str]) -> list[str]:
        """Return the columns that are used if ``columns`` is not given."""
        out = {"", self.weights}
        if self.time is not None and self.at is not None:
            out.add(self.time)
        if self.where is not None:
            out |= {one.column for one in parse_where(self.where) if one.operator == "=="}
        return [name for name in names if name not in out]

    def check(self, names: Sequence[str], origin: str) -> None:
        """Check the options against the names of the columns.

        Raises:
            DataError: A column is missing.
        """
        alone = [self.weights, self.time, *(self.kinds or {}), *(self.support or {})]
        wished = [name for name in alone if name not in (None, "*")]
        wished += [one.column for one in parse_where(self.where)] if self.where else []
        for name in wished:
            assert name is not None
            pick_columns(names, [name], origin)
        columns = self.columns if self.columns is not None else self.default_columns(names)
        picked = [names[j] for j in pick_columns(names, columns, origin)]
        check_context(with_conditions(picked, self.conditions, names), self.conditions)


def with_conditions(
    picked: list[str], conditions: Sequence[str | int], known: Sequence[str]
) -> tuple[str, ...]:
    """Return the columns, followed by those conditions that are not among them.

    A condition given as an index refers to the picked columns.
    """
    more = [name for name in conditions if isinstance(name, str) and name not in picked]
    return (*picked, *(name for name in more if name in known))
