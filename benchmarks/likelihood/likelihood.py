"""Time to a likelihood: wopt against zuko's flows at equal CPU seconds.

    OMP_NUM_THREADS=1 python benchmarks/likelihood/likelihood.py [rose magic ...]

For every data set ``NAME.toml`` is run. Its rivals train in turns with it, twenty of them, each for
the CPU seconds that wopt has just taken, on the same rows: how busy the machine is changes, and so
it does for all. ``NAME-VARIANT.toml`` is run too, alone. Results go to
``results.json`` beside this file (or ``--out``), a table to the terminal, and ``draw.py`` makes the
curves of docs/images. Run it from the repository's root; the data are read from
``../shared/data``.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor, nn

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

from bench import keep_memory, machine, one_thread, table  # noqa: E402
from rivals import Rival, Training, score  # noqa: E402
from settings import RIVALS  # noqa: E402

from wopt.config.model import RunConfig, validate  # noqa: E402
from wopt.data.dataset import Dataset  # noqa: E402
from wopt.interfaces.block import FlowBlock  # noqa: E402
from wopt.runs.evaluate import evaluate  # noqa: E402
from wopt.runs.preparation import Prepared, particles_of, prepare  # noqa: E402
from wopt.runs.progress import listener_of  # noqa: E402
from wopt.seeds import derive  # noqa: E402
from wopt.train.steps import iterate  # noqa: E402

_FEW = 150
"""Test rows of a CNF in many dimensions."""

Row = dict[str, Any]


_TURNS = 20


class Turns:
    """Gives rivals, in turn, the CPU seconds that wopt has taken; wopt's progress calls it."""

    def __init__(self, steps: int, rivals: Mapping[str, Training]) -> None:
        self.steps, self.rivals = steps, rivals
        self.turns, self.seconds = 0, 0.0
        self.mark = time.process_time()

    def __call__(self, step: int, phase: str, done: int, total: int, loss: float) -> None:
        fraction = (step - 1 + done / total) / self.steps
        if phase == "training" and fraction >= (self.turns + 1) / _TURNS:
            self.turns += 1
            self.take(fraction)

    def take(self, fraction: float) -> None:
        """Let the rivals have what wopt took since the last time."""
        spent = time.process_time() - self.mark
        self.seconds += spent
        for rival in self.rivals.values():
            rival.advance(spent, fraction)
        self.mark = time.process_time()


def wopt_row(
    name: str, method: str, config: RunConfig, prepared: Prepared, rivals: Mapping[str, Training]
) -> Row:
    """Make a run as ``wopt run`` does, without its files; its seconds are those of its steps.

    These include the guard's checks. Every point of the curve is the audited test NLL after a step.
    """
    dataset = prepared.dataset
    state = prepared.problem.begin(prepared.train, prepared.valid)
    test = particles_of(dataset, dataset.test, config, known=False)
    blocks: list[FlowBlock] = []
    curve: list[tuple[float, float]] = []
    turns = Turns(config.stop.steps or 1, rivals)
    for after, record in iterate(prepared.problem, state, listener_of(turns)):
        state = after
        assert state.block is not None
        blocks.append(state.block)
        turns.take(record.step / turns.steps)
        found = evaluate(prepared, blocks, test)
        curve.append((turns.seconds, found["nll_test"]))
        told_step = f"step {record.step}, {turns.seconds:.1f} s, test {found['nll_test']:.4f}"
        print(f"  {name} {method}: {told_step}, held out {record.nll_valid}", flush=True)
        turns.mark = time.process_time()
    return {
        "data": name,
        "method": method,
        "seconds": turns.seconds,
        "iterations": sum(record.iterations for record in state.records),
        "nll": found["nll_test"],
        "error": found["nll_error"],
        "nll_valid": state.records[-1].nll_valid,
        "likelihood_error": found["likelihood_error"],
        "inversion_error": found["inversion_error"],
        "gaussian": found["nll_gaussian"],
        "entropy": found["entropy"],
        "parameters": found["parameters"],
        "curve": curve,
        "scores": scores(prepared, blocks),
    }


def scores(prepared: Prepared, blocks: list[FlowBlock]) -> Tensor:
    """Return the audited NLL of every test row, for paired differences."""
    return -prepared.flow(blocks).log_prob(prepared.dataset.test, audit=True).double()


def placed(dataset: Dataset, x: Tensor) -> Tensor:
    """Return rows in the flows' coordinates."""
    return dataset.transform.move(x).float()


def nll(flow: nn.Module, dataset: Dataset, x: Tensor) -> Tensor:
    """Return a rival's NLL of rows, in the data's units."""
    z, log_det = dataset.transform(x)
    return -score(flow, z.float(), audit=True).double() - log_det


def begin(rival: Rival, dataset: Dataset, curve: list[tuple[float, float]]) -> Training:
    """Return a rival's training on the same rows, preprocessed alike; its curve grows by turns."""

    def look(spent: float, flow: nn.Module | None) -> None:
        if flow is None:  # the parameters kept are those of the check before
            curve.append((spent, curve[-1][1]))
        elif rival.flow != "CNF":  # whose exact trace takes longer than its training
            curve.append((spent, float(nll(flow, dataset, dataset.test).mean())))

    return Training(rival, placed(dataset, dataset.train), placed(dataset, dataset.valid), look)


def rival_row(
    name: str, method: str, made: Training, dataset: Dataset, curve: list[tuple[float, float]]
) -> Row:
    """Return what a rival's training came to."""
    # The exact trace takes d backward passes an evaluation: fewer rows, where that is too slow.
    few = method == "CNF" and dataset.dim > 16
    flow = made.finish()
    values = nll(flow, dataset, dataset.test[:_FEW] if few else dataset.test)
    curve.append((made.seconds, float(values.mean())))
    return {
        "data": name,
        "method": method,
        "seconds": made.seconds,
        "iterations": made.iterations,
        "nll": float(values.mean()),
        "error": float(values.std() / len(values) ** 0.5),
        "rows": len(values),
        "entropy": dataset.entropy,
        "parameters": sum(p.numel() for p in flow.parameters()),
        "curve": curve,
        "scores": values,
    }


def ready(path: Path) -> tuple[RunConfig, Prepared]:
    """Return a configuration and its run, with the data."""
    config = validate(tomllib.loads(path.read_text()))
    return config, prepare(config, config.source.load(derive(config.seed, "source")))


def measure(name: str) -> list[Row]:
    """Return the rows of one data set."""
    config, prepared = ready(HERE / f"{name}.toml")
    dataset = prepared.dataset
    curves: dict[str, list[tuple[float, float]]] = {method: [] for method in RIVALS[name]}
    rivals = {m: begin(rival, dataset, curves[m]) for m, rival in RIVALS[name].items()}
    rows = [told(wopt_row(name, "wopt", config, prepared, rivals), None)]
    reference = rows[0]["scores"]
    for method, made in rivals.items():
        rows.append(told(rival_row(name, method, made, dataset, curves[method]), reference))
    for path in sorted(HERE.glob(f"{name}-*.toml")):
        method = f"wopt, {path.stem.partition('-')[2]}"
        rows.insert(1, told(wopt_row(name, method, *ready(path), {}), reference))
    return [{k: v for k, v in row.items() if k != "scores"} for row in rows]


def told(row: Row, reference: Tensor | None) -> Row:
    """Print a row when it is there, and return it with its paired difference to wopt's."""
    if reference is not None:
        gap = row["scores"] - reference[: len(row["scores"])]
        row["above_wopt"] = float(gap.mean())
        row["above_wopt_error"] = float(gap.std() / len(gap) ** 0.5)
    print(json.dumps({k: v for k, v in row.items() if k not in ("scores", "curve")}), flush=True)
    return row


def main() -> None:
    """Measure the data sets named, all by default, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", default=list(RIVALS), metavar="NAME")
    parser.add_argument("--out", type=Path, default=HERE / "results.json")
    asked = parser.parse_args()
    one_thread()
    keep_memory()
    found = json.loads(asked.out.read_text())["rows"] if asked.out.exists() else []
    for name in asked.names:
        found = [row for row in found if row["data"] != name] + measure(name)
        asked.out.write_text(json.dumps({"machine": machine(), "rows": found}, indent=1))
    head = ("data", "method", "CPU s", "test NLL", "above wopt", "iterations", "parameters")
    print(machine() + "\n\n" + table(head, [cells(row) for row in found]))


def cells(row: Row) -> tuple[Any, ...]:
    """Return a row of the table, its difference to wopt's NLL with the standard error."""
    above = "above_wopt" in row and f"{row['above_wopt']:.3f} +- {row['above_wopt_error']:.3f}"
    nll = f"{row['nll']:.3f}"
    return (
        row["data"],
        row["method"],
        f"{row['seconds']:.1f}",
        nll,
        above or "",
        row["iterations"],
        row["parameters"],
    )


if __name__ == "__main__":
    main()
