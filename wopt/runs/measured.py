"""What is measured of a run at its end: by measurements that are plugins, within a budget."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from wopt.clock import Stopwatch
from wopt.component import build, name_of
from wopt.config.model import RunConfig
from wopt.distributions import how_to_get
from wopt.errors import ConfigError, WoptError
from wopt.files import write_json
from wopt.flow import Flow
from wopt.host import host
from wopt.interfaces.budget import Budget
from wopt.interfaces.measurement import FinishedRun, Measurement
from wopt.origin import culprit, in_words
from wopt.runs.preparation import Prepared
from wopt.store.documents import read_document
from wopt.store.result import RunResult
from wopt.typed import Typed


def automatic(config: RunConfig) -> list[Measurement]:
    """Return the measurements that are made of every run to which they apply."""
    names = [entry.qualified for entry in host().registry.entries("measurement")]
    made = [build("measurement", name) for name in names if _is_automatic(name)]
    given = {"exact": config.exact, "snapshots": config.snapshots.times}
    for table, value in given.items():
        if value is not None and not any(table in measurement.reads for measurement in made):
            why = how_to_get("table", table) or "install a plugin that does"
            raise ConfigError(f"[{table}]: no measurement that is installed reads it; {why}")
    return made


def _is_automatic(name: str) -> bool:
    try:
        return bool(getattr(host().registry.load("measurement", name), "automatic", False))
    except WoptError:  # listed as failed by `wopt plugins`
        return False


@dataclasses.dataclass
class Measured:
    """The measurements of one run; where one fails the run stands, and it is said why.

    Attributes:
        config: The options of the run.
        run: What is measured.
        log: Told of what was left out.
        beside: Documents of automatic measurements that the result has no field for.
    """

    config: RunConfig
    run: FinishedRun
    log: Callable[[str], None]
    beside: dict[str, Any] = dataclasses.field(default_factory=dict)

    def automatic(self, prepared: Prepared, flow: Flow) -> dict[str, Any]:
        """Return the documents of automatic measurements, by the field of the result.

        Those that the result has no field for are kept for ``measurements.json``.
        """
        run = dataclasses.replace(self.run, prepared=prepared, flow=flow)
        made = dict[str, Any]()
        for measurement in automatic(self.config):
            if measurement.applies(run) is None:
                made[name_of(measurement)] = _document(measurement, run, None, self.log)
        made = {name: document for name, document in made.items() if document is not None}
        fields = {field.name for field in dataclasses.fields(RunResult)}
        self.beside = {k: made.pop(k).to_dict() for k in list(made) if k not in fields}
        return made

    def certify(self, status: str, spent: float) -> None:
        """Write the certificate and what else ``measurements`` asks for."""
        run = dataclasses.replace(self.run, spent=spent)
        if not run.state.records:
            return
        watch = Stopwatch()
        chosen, listener = self.config.certify, run.listener
        if chosen is None:
            why = how_to_get("measurement", "certificate") or "install wopt-certify"
            listener.phase(f"not certified; {why}")
        elif chosen.enabled:
            again = f"`wopt certify {run.directory.path}` does it later"
            if status == "stopped":  # who interrupts does not want to wait
                listener.warn(f"not certified; {again}")
                return
            self._certificate(chosen, run, again)
        self._others(run, self._left(run, watch))

    def _certificate(self, chosen: Measurement, run: FinishedRun, again: str) -> None:
        path = run.directory.certificate
        try:
            recorded = read_document(path, chosen.document)
        except WoptError:  # it is made anew
            recorded = None
        try:
            document = chosen.measure(run, recorded=recorded)
        except WoptError as error:
            run.listener.warn(f"no certificate: {error}")
        except KeyboardInterrupt:
            run.listener.warn(f"certifying was interrupted; {again}")
        else:
            assert document is not None
            write_json(path, document.to_dict())
            run.listener.certificate(document)

    def _left(self, run: FinishedRun, watch: Stopwatch) -> Budget:
        """Return what the certificate has left of the budget that all measurements share."""
        fraction = getattr(self.config.certify, "budget", 0.0)
        if not fraction:
            return Budget()
        trained = sum(record.cpu_seconds for record in run.state.records)
        return Budget(max(0.0, fraction * trained - run.spent - watch.cpu))

    def _others(self, run: FinishedRun, budget: Budget) -> None:
        """Write ``measurements.json``, a document for each name, where some are asked for."""
        made = dict(self.beside)
        asked = self.config.measurements or []
        for measurement in asked:
            why = measurement.applies(run)
            if why is not None:
                run.listener.warn(f"{name_of(measurement)} does not apply: {why}")
                continue
            part = budget.share(1 / len(asked))
            document = _document(measurement, run, part, run.listener.warn)
            if document is not None:
                made[name_of(measurement)] = document.to_dict()
        if made:
            write_json(run.directory.measurements, made)


def _document(
    measurement: Measurement, run: FinishedRun, budget: Budget | None, tell: Callable[[str], None]
) -> Typed | None:
    """Return what a measurement finds; where it fails the run stands, and it is said why."""
    try:
        return measurement.measure(run, budget)
    except WoptError as error:
        tell(f"{name_of(measurement)} was not measured: {error}")
    except Exception as error:  # of a plugin, after all that is dear has been done
        whose = culprit(error) or f"measurement {name_of(measurement)}"
        tell(f"{whose}: {in_words(error)}")
    return None
