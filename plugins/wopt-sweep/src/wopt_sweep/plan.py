"""Plans of sweeps: lists of values, ranges, seeds."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator, Sequence
from typing import Any

from wopt.errors import ConfigError

Setting = tuple[str, ...]
"""``K=V`` texts, as ``--set`` takes them."""


@dataclasses.dataclass(frozen=True)
class Range:
    """An interval of numbers that a search may choose from.

    Attributes:
        whole: Whether the numbers are integers.
        log: Whether the search is uniform in the logarithm.
    """

    low: float
    high: float
    whole: bool = False
    log: bool = False


@dataclasses.dataclass(frozen=True)
class SweepDesign:
    """The values, ranges and seeds of a sweep.

    Attributes:
        ranges: Intervals by key, for a search only.
        seeds: Number of seeds of each setting, counted from the configuration's.
        trials: Number of settings of a search; ``None`` for every point of the grid.
    """

    grid: dict[str, tuple[str, ...]]
    ranges: dict[str, Range] = dataclasses.field(default_factory=dict)
    seeds: int = 1
    trials: int | None = None

    def settings(self) -> Iterator[Setting]:
        """Yield every point of the grid.

        Example:
            >>> list(SweepDesign({"a": ("1", "2"), "b": ("x",)}).settings())
            [('a=1', 'b=x'), ('a=2', 'b=x')]
        """
        for values in itertools.product(*self.grid.values()):
            yield tuple(f"{k}={v}" for k, v in zip(self.grid, values, strict=True))

    def to_dict(self) -> dict[str, Any]:
        """Return the fields that identify the plan; the number of trials is not one of them."""
        table = dataclasses.asdict(self)
        del table["trials"]
        return table | {"grid": {k: list(v) for k, v in self.grid.items()}}


def grid_of(texts: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Return values by key of texts such as ``scheme.step_size=1,4`` or ``x=[1, 2],[3]``.

    Raises:
        ConfigError: A text is not of that form, or names a key again.

    Example:
        >>> grid_of(["solver.iterations=50,100", "h=[1, 2],[3]"])
        {'solver.iterations': ('50', '100'), 'h': ('[1, 2]', '[3]')}
    """
    grid: dict[str, tuple[str, ...]] = {}
    for text in texts:
        key, values = _key_and_rest("--grid", text, "scheme.step_size=1,4", grid)
        grid[key] = tuple(_split(values))
    return grid


def ranges_of(texts: Sequence[str]) -> dict[str, Range]:
    """Return intervals by key of texts such as ``solver.learning_rate=1e-4:1e-2:log``.

    Raises:
        ConfigError: A text is not of that form, or names a key again.

    Example:
        >>> ranges_of(["solver.iterations=50:200"])["solver.iterations"]
        Range(low=50.0, high=200.0, whole=True, log=False)
    """
    ranges: dict[str, Range] = {}
    example = "solver.learning_rate=1e-4:1e-2:log"
    for text in texts:
        key, rest = _key_and_rest("--range", text, example, ranges)
        parts = rest.split(":")
        log = len(parts) == 3 and parts.pop() == "log"
        try:
            low, high = (float(part) for part in parts)
        except ValueError:
            raise ConfigError(
                f"--range {text}: write KEY=LOW:HIGH[:log], as in {example}"
            ) from None
        if not low < high or (log and low <= 0):
            raise ConfigError(f"--range {text}: needs LOW < HIGH, and LOW > 0 with log")
        whole = all(part.strip().lstrip("-").isdigit() for part in parts)
        ranges[key] = Range(low, high, whole, log)
    return ranges


def _key_and_rest(option: str, text: str, example: str, known: dict[str, Any]) -> tuple[str, str]:
    key, equals, rest = (part.strip() for part in text.partition("="))
    if not equals or not key or not rest:
        raise ConfigError(f"{option} {text}: write KEY=VALUES, as in {example}")
    if key in known:
        raise ConfigError(f"{option} {text}: {key} was given before")
    return key, rest


def _split(text: str) -> Iterator[str]:
    """Yield the parts between commas outside brackets and quotes."""
    offset, depth, quote = 0, 0, ""
    for index, letter in enumerate(text):
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "\"'":
            quote = letter
        elif letter in "[{":
            depth += 1
        elif letter in "]}":
            depth -= 1
        elif letter == "," and not depth:
            yield text[offset:index].strip()
            offset = index + 1
    yield text[offset:].strip()
