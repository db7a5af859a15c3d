"""Finding damage in a run directory, and rescuing its model."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from wopt.config.model import RunConfig, validate
from wopt.errors import ConfigError, WoptError
from wopt.flow import Flow
from wopt.flow.conversions import in_own_units
from wopt.host import host
from wopt.interfaces.measurement import document_of
from wopt.reading import opened, printable
from wopt.runs.loading import Fingerprint, check_data
from wopt.seeds import derive
from wopt.store.checkpoint import kept_steps, known_steps, load_block, load_state, load_transform
from wopt.store.directory import RunDirectory
from wopt.store.documents import read_document, read_lines
from wopt.store.result import Losses, RunResult

_MADE_AGAIN = ("result", "certificate", "figures", "samples", "report", "losses", "log")
"""Files without which a run can be resumed."""


@dataclasses.dataclass(frozen=True)
class DamageReport:
    """The result of :func:`examine`.

    Attributes:
        damaged: Description of the damage, by file.
        steps: Number of finished steps, if known.
        whole: Number of the first steps whose maps can be read.
        sampled: Whether `wopt sample` and `wopt score` can read the run.
        resumed: Whether `wopt resume` can continue the run.
        advice: Advice, one line each.
    """

    damaged: dict[Path, str]
    steps: int | None
    whole: int
    sampled: bool
    resumed: bool
    advice: tuple[str, ...]


def examine(path: Path, *, data: bool = True) -> DamageReport:
    """Read every file of a run directory, and return what is damaged and can be rescued.

    Nothing is written.
    """
    run = RunDirectory(path)
    if not path.is_dir():
        raise ConfigError(f"{path}: is not a run directory")
    found = _Findings()
    found.read(run.blocks, lambda: run.check_links())
    table = found.read(run.config, lambda: run.read_config())
    config = found.read(run.config, lambda: validate(table, str(run.config)) if table else None)
    shape = found.read(run.transform, lambda: _shape(run))
    steps = found.read(run.state, lambda: known_steps(run))
    whole = 0 if config is None or shape is None else _whole(run, config, shape, steps, found)
    _documents(run, steps, found)
    model = config is not None and shape is not None and steps is not None and whole == steps
    if model and config is not None and shape is not None:
        found.read(
            run.state, lambda: load_state(run, config, shape[0], shape[1], None, lenient=True)
        )
    if data and config is not None:
        source, seed = config.source, derive(config.seed, "source")
        found.read(run.data, lambda: check_data(run, source, source.loaded(seed)))
    read = run.state, run.steps, run.data, run.losses, run.log, *run.snapshots()
    resumed = model and not found.keeps(*read)
    sampled = model and not found.keeps(run.blocks)
    return DamageReport(
        found.damaged, steps, whole, sampled, resumed and sampled,
        tuple(_advice(run, found, steps, whole, sampled)),
    )  # fmt: skip


class _Findings:
    """The first damage that was found in each file."""

    def __init__(self) -> None:
        self.damaged: dict[Path, str] = {}

    def read(self, path: Path, work: Callable[[], Any]) -> Any:
        """Return the reader's result, or ``None`` where it finds damage."""
        try:
            return work()
        except WoptError as error:
            text = printable(str(error), one_line=True)
            self.damaged.setdefault(path, text.removeprefix(f"{path}: "))
        except OSError as error:
            self.damaged.setdefault(path, error.strerror or str(error))
        return None

    def keeps(self, *paths: Path) -> bool:
        """Return whether one of the files is damaged."""
        return any(path in self.damaged for path in paths)


def _shape(run: RunDirectory) -> tuple[int, int]:
    transform = load_transform(run)[0]
    return len(transform.shift), transform.condition


def _whole(
    run: RunDirectory,
    config: RunConfig,
    shape: tuple[int, int],
    steps: int | None,
    found: _Findings,
) -> int:
    """Return the number of the first maps that can be read."""
    step = first = 1 if steps is None else kept_steps(config, steps).start
    while steps is None or step <= steps:
        at = run.block(step)
        if steps is None and not at.exists():
            break
        if found.read(at, lambda: load_block(run, config, step, *shape)) is None:  # noqa: B023
            break
        step += 1
    return 0 if step == first else step - 1


def _documents(run: RunDirectory, steps: int | None, found: _Findings) -> None:
    found.read(run.steps, lambda: run.read_steps(steps))
    found.read(run.losses, lambda: read_lines(run.losses, Losses))
    found.read(run.result, lambda: read_document(run.result, RunResult))
    certificate = document_of("certificate")
    if certificate is not None:
        found.read(run.certificate, lambda: read_document(run.certificate, certificate))
    found.read(run.data, lambda: read_document(run.data, Fingerprint))
    for page in host().registry.functions("report"):
        found.read(run.figures, lambda: page.read_figures(run.figures))  # noqa: B023
        for path in run.snapshots():
            found.read(path, lambda: page.read_snapshot(path))  # noqa: B023
    for path in (run.samples, run.report, run.log):
        if path.exists():
            found.read(path, lambda: _regular(path))  # noqa: B023


def _regular(path: Path) -> None:
    with opened(path):
        pass


def _advice(
    run: RunDirectory, found: _Findings, steps: int | None, whole: int, sampled: bool
) -> Iterator[str]:
    """Yield lines of advice."""
    again = [name for name in _MADE_AGAIN if getattr(run, name) in found.damaged]
    if again:
        names = " ".join(getattr(run, name).name for name in again)
        yield f"delete {names}, then `wopt resume {run.path}` makes again what it can"
    if found.keeps(*run.snapshots()):
        yield "delete the damaged snapshots: the run goes on without them"
    if found.keeps(run.config):
        yield "config.toml must be restored from a copy, or written by hand: all else needs it"
    if found.keeps(run.transform):
        yield "transform.safetensors must be restored: without it the maps have no units"
    if not sampled and whole and not found.keeps(run.config, run.transform):
        yield (
            f"the model after {whole} step(s) can be saved: `wopt doctor {run.path} --rescue "
            "model.wopt`, which wopt.load reads"
        )
    if steps is not None and found.keeps(run.steps) and sampled:
        yield "steps.jsonl must be restored to resume; samples and scores do not need it"
    if found.keeps(run.data):
        yield (
            "restore the data; or continue with the present data, by --allow-changed-data if they "
            f"have changed, and without {run.data.name} (delete it) if it is damaged"
        )


def rescued(path: Path) -> Flow:
    """Return the model of all steps whose maps can be read."""
    run = RunDirectory(path)
    config = validate(run.read_config(), str(run.config))
    transform, names, conditions = load_transform(run)
    whole = examine(path, data=False).whole
    if not whole or config.model == "push_forward":
        raise ConfigError(f"{path}: there is no model of data that can be rescued")
    shape = len(transform.shift), transform.condition
    blocks = [load_block(run, config, step, *shape) for step in kept_steps(config, whole)]
    flow = Flow([transform, *blocks], config.objective.target, names, None, conditions)
    return in_own_units(flow, config.objective.target)
