"""Reading a model back, and telling the data that a run was made from by what was read."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import torch
from torch import Tensor

from wopt.config.model import RunConfig, validate
from wopt.data.dataset import Dataset
from wopt.errors import ConfigError, DataError
from wopt.files import write_json
from wopt.flow import Flow, SourceLaw
from wopt.flow.conversions import in_own_units
from wopt.flow.save import load_flow
from wopt.interfaces.source import Source
from wopt.memory import PIECE
from wopt.permission import allowed
from wopt.reading import listed, printable
from wopt.store.checkpoint import load_blocks, load_transform
from wopt.store.directory import RunDirectory
from wopt.store.documents import read_document
from wopt.typed import Number, Typed

_GOLDEN = (math.sqrt(5) - 1) / 2
_ROUNDED = 1e-9


@dataclasses.dataclass(frozen=True)
class Fingerprint(Typed):
    """The fingerprint of a run's data, ``data.json`` of its directory.

    Attributes:
        rows: Numbers of training, validation and test rows, and of rows of later populations.
        columns: Names of the columns.
        sums: For each column, its values' sum with irregular weights, divided by the root of their
            sum of squares: rounding leaves it nearly unchanged, another order does not. Files of
            older versions may have none.

    Example:
        >>> from wopt.data.dataset import Dataset
        >>> from wopt.data.transform import AffineTransform
        >>> x = torch.arange(6.0).double()[:, None]
        >>> unit = AffineTransform.fit(x, "none")
        >>> one, other = (
        ...     Fingerprint.of(Dataset(part, x, x, unit, ("a",))) for part in (x, x.flip(0))
        ... )
        >>> one.differs(other)
        'other values in column(s) a'
    """

    rows: tuple[int, ...]
    columns: tuple[str, ...]
    sums: tuple[Number, ...] = ()

    @classmethod
    def of(cls, data: Dataset, source: Source | None = None) -> Fingerprint:
        """Return the fingerprint of a split dataset, and of its source's later populations."""
        known = None if source is None else source.snapshots()
        later = () if known is None else known.rows[1:]
        parts = [data.train, data.valid, data.test, *later]
        rows = tuple(len(part) for part in parts)
        return cls(rows, tuple(data.names), _sums(parts, data.dim))

    def differs(self, other: Fingerprint) -> str:
        """Return a description of the difference of other data, empty if there is none."""
        if self.columns != other.columns:
            return f"columns {listed(other.columns)} in place of {listed(self.columns)}"
        if self.rows != other.rows:
            return f"{sum(other.rows)} rows in place of {sum(self.rows)}"
        if len(self.sums) != len(self.columns):
            return ""
        both = zip(self.columns, self.sums, other.sums, strict=True)
        names = [name for name, mine, yours in both if not abs(mine - yours) < _ROUNDED]
        return f"other values in column(s) {listed(names)}" if names else ""


def remember_data(run: RunDirectory, source: Source, data: Dataset) -> None:
    """Write the fingerprint of a run's data."""
    write_json(run.data, Fingerprint.of(data, source).to_dict())


def check_data(run: RunDirectory, source: Source, data: Dataset) -> str | None:
    """Raise unless data are those of the run.

    Args:
        run: The run directory; if it has no fingerprint (older versions), all data are accepted.
        source: The run's source.
        data: The data that the source gives now, before rows to judge by are chosen.

    Returns:
        A note on the difference where that is allowed (:func:`wopt.allow_changed_data`); ``None``
        if there is none.
    """
    known = read_document(run.data, Fingerprint, _REMEDY)
    if known is None:
        return None
    differs = known.differs(Fingerprint.of(data, source))
    if not differs:
        return None
    what = printable(differs, one_line=True)
    if allowed("changed data"):
        return (
            f"the data have changed since the run began ({what}): held-out and test rows may have "
            "been trained on, and scores on them are then too good"
        )
    raise DataError(
        f"{run.path}: its source gives other data than the run was made from: {what}. Restore the "
        "data; or start again with `wopt run` and another --out; or continue with the present data "
        "by --allow-changed-data (in Python: with wopt.allow_changed_data():)"
    )


_REMEDY = "restore it; without it (delete it) the data are not checked"


def _sums(parts: list[Tensor], dim: int) -> tuple[float, ...]:
    """Return the sums of each column."""
    sums, squares = torch.zeros(2, dim, dtype=torch.float64)
    begun = 0
    for part in parts:
        for rows in part.split(PIECE):
            values = rows.to("cpu", torch.float64)
            at = torch.arange(begun + 1, begun + len(values) + 1, dtype=torch.float64)
            sums += ((at * _GOLDEN).frac() - 0.5) @ values
            squares += values.square().sum(0)
            begun += len(values)
    return tuple((sums / squares.sqrt().clamp_min(1e-300)).tolist())


@dataclasses.dataclass(frozen=True)
class LoadedRun:
    """A run read from its directory.

    Attributes:
        config: The run's configuration.
        flow: The model.
        names: Names of the columns.
    """

    config: RunConfig
    flow: Flow
    names: tuple[str, ...]


def load(path: Path | str) -> Flow:
    """Read a model: a run directory, or a file that :meth:`Flow.save` wrote.

    Reading a model never runs code from it.

    Raises:
        ConfigError: The run or file does not exist.
        RunError: The run or file is damaged.

    Example:
        >>> import pathlib, tempfile, torch, wopt
        >>> x = torch.randn(300, 2, generator=torch.Generator().manual_seed(0))
        >>> solution = wopt.fit(x, block="affine", stop={"steps": 1}, solver={"iterations": 5})
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     again = wopt.load(solution.flow.save(pathlib.Path(folder) / "model.wopt"))
        >>> torch.equal(again.log_prob(x), solution.flow.log_prob(x))
        True
    """
    path = Path(path)
    if not path.exists():
        raise ConfigError(f"{path}: there is no such file or run directory")
    return load_flow(path) if path.is_file() else load_run(path).flow


def load_run(path: Path | str) -> LoadedRun:
    """Read a run; its data are read only where the start's law needs them, on first use."""
    run = RunDirectory(Path(path))
    config = validate(run.read_config(), str(run.config))
    transform, names, conditions = load_transform(run)
    blocks = load_blocks(run, config, len(transform.shift), transform.condition)
    flow = Flow([transform, *blocks], config.objective.target, names, None, conditions)
    if config.model == "push_forward":
        start = SourceLaw(
            config.source, config.seed, check=lambda data: check_data(run, config.source, data)
        )
        flow = Flow(flow.map, start, names).inverted()
    flow = in_own_units(flow.to(config.device), config.objective.target)
    return LoadedRun(config, flow, names)
