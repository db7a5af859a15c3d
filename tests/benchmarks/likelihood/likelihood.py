"""Time to a likelihood: wopt against zuko's flows at equal CPU seconds.

    OMP_NUM_THREADS=1 python tests/benchmarks/likelihood/likelihood.py [rose magic ...]

For every data set ``NAME.toml`` is run. Its rivals then get the CPU seconds that it took, on the
same rows. ``NAME-VARIANT.toml`` is run too, for as long as it takes. Results go to
``results.json`` beside this file (or ``--out``), a table to the terminal, and ``draw.py`` makes the
curves of docs/images. Run it from the repository's root; the data are read from
``../shared/data``.
"""

from __future__ import annotations

import argparse
import json
import sys
import tomllib
from pathlib import Path
from typing import Any

from torch import Tensor, nn

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

from bench import keep_memory, machine, one_thread, table  # noqa: E402
from rivals import Rival, fit, score  # noqa: E402
from settings import RIVALS  # noqa: E402

from wopt.config.model import RunConfig, validate  # noqa: E402
from wopt.data.dataset import Dataset  # noqa: E402
from wopt.interfaces.block import FlowBlock  # noqa: E402
from wopt.run.evaluate import evaluate  # noqa: E402
from wopt.run.prepare import Prepared, place, prepare  # noqa: E402
from wopt.train.iterate import iterate  # noqa: E402
from wopt.train.seeds import derive  # noqa: E402

_FEW = 150
"""Test rows of a CNF in many dimensions."""

Row = dict[str, Any]


def wopt_row(name: str, method: str, config: RunConfig) -> Row:
    """Make a run as ``wopt run`` does, without its files; its seconds are those of its steps.

    These include the guard's checks. Every point of the curve is the audited test NLL after a step.
    """
    prepared = prepare(config, config.source.load(derive(config.seed, "source")))
    dataset = prepared.dataset
    state = prepared.problem.begin(prepared.train, prepared.valid)
    test = place(dataset, dataset.test, config, known=False)
    blocks: list[FlowBlock] = []
    curve: list[tuple[float, float]] = []
    for after, record in iterate(prepared.problem, state):
        state = after
        assert state.block is not None
        blocks.append(state.block)
        found = evaluate(prepared, blocks, test)
        seconds = sum(r.cpu_seconds for r in state.records)
        curve.append((seconds, found["nll_test"]))
        told_step = f"step {record.step}, {seconds:.1f} s, test {found['nll_test']:.4f}"
        print(f"  {name} {method}: {told_step}, held out {record.nll_valid}", flush=True)
    return {
        "data": name,
        "method": method,
        "seconds": curve[-1][0],
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


def rival_row(name: str, method: str, rival: Rival, dataset: Dataset, seconds: float) -> Row:
    """Train a rival on the same rows, preprocessed alike, for the same seconds."""

    def placed(x: Tensor) -> Tensor:
        return dataset.transform.forward(x).float()

    def nll(flow: nn.Module, x: Tensor) -> Tensor:
        return -score(flow, placed(x), audit=True).double() - dataset.transform.log_det

    curve: list[tuple[float, float]] = []

    def look(spent: float, flow: nn.Module | None) -> None:
        if flow is None:  # the parameters kept are those of the check before
            curve.append((spent, curve[-1][1]))
        elif rival.flow != "CNF":  # whose exact trace takes longer than its training
            curve.append((spent, float(nll(flow, dataset.test).mean())))

    made = fit(rival, placed(dataset.train), placed(dataset.valid), seconds, look=look)
    # The exact trace takes d backward passes an evaluation: fewer rows, where that is too slow.
    few = rival.flow == "CNF" and dataset.dim > 16
    values = nll(made.flow, dataset.test[:_FEW] if few else dataset.test)
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
        "parameters": sum(p.numel() for p in made.flow.parameters()),
        "curve": curve,
        "scores": values,
    }


def measure(name: str) -> list[Row]:
    """Return the rows of one data set."""
    rows: list[Row] = []
    reference = None
    for path in [HERE / f"{name}.toml", *sorted(HERE.glob(f"{name}-*.toml"))]:
        table_ = tomllib.loads(path.read_text())
        method = "wopt" if path.stem == name else f"wopt, {path.stem.partition('-')[2]}"
        rows.append(told(wopt_row(name, method, validate(table_)), reference))
        reference = reference if reference is not None else rows[0]["scores"]
    dataset = validate(table_).source.load(derive(table_.get("seed", 0), "source"))
    for method, rival in RIVALS[name].items():
        row = rival_row(name, method, rival, dataset, rows[0]["seconds"])
        rows.append(told(row, reference))
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
