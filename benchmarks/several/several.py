"""Do several JKO steps pay? One step against several at equal CPU seconds, in turns.

    OMP_NUM_THREADS=1 python benchmarks/several/several.py magic rose --seeds 0 1 2
    python benchmarks/several/several.py --table

For every data set, block and seed all arms train on the same split in turns of a second. How many
iterations an arm's seconds are worth is measured just before, its phases in turns. Every result is
a line of ``results.jsonl`` (or ``--out``), and what is there already is not made again. Run it from
the repository's root; the data are read from ``../shared/data``.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
import time
import types
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import torch
from torch import nn

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

from arms import DATA, Arm, Table, arms, base  # noqa: E402
from bench import keep_memory, machine, one_thread  # noqa: E402
from light import light  # noqa: E402
from measures import measure  # noqa: E402
from summaries import tell, thinned  # noqa: E402
from turns import Turns  # noqa: E402

from wopt.component import Spec  # noqa: E402
from wopt.config.model import validate  # noqa: E402
from wopt.data.dataset import Dataset  # noqa: E402
from wopt.errors import Converged, DivergenceError  # noqa: E402
from wopt.interfaces import Budget, FinishedRun  # noqa: E402
from wopt.interfaces.block import new_block  # noqa: E402
from wopt.interfaces.solver import Training  # noqa: E402
from wopt.runs.evaluate import evaluate  # noqa: E402
from wopt.runs.preparation import Prepared, particles_of, prepare  # noqa: E402
from wopt.runs.progress import listener_of  # noqa: E402
from wopt.seeds import derive, seeded  # noqa: E402
from wopt.train.refine import Joint  # noqa: E402
from wopt.train.solver import minimise  # noqa: E402
from wopt.train.steps import iterate  # noqa: E402
from wopt_certify.options import settings_of  # noqa: E402
from wopt_certify.run import certify  # noqa: E402

_PILOT = 10
"""Iterations by which the cost of one is measured, twice."""


class Costs:
    """CPU seconds of an iteration of a step, or of joint refinement, on one data set."""

    def __init__(self, table: Table, dataset: Dataset) -> None:
        self.table, self.dataset = table, dataset
        self.known: dict[str, float] = {}

    def of(self, blocks: list[Table]) -> float:
        """Return the seconds of training these blocks together, one iteration."""
        key = json.dumps(blocks, sort_keys=True)
        if key not in self.known:
            self.known[key] = min(self._once(blocks) for _ in range(2))
        return self.known[key]

    def _once(self, blocks: list[Table]) -> float:
        solver = {**self.table["solver"], "iterations": _PILOT, "patience": None}
        table = {**self.table, "blocks": blocks, "solver": solver}
        ready = ready_for(table, self.dataset)
        train, specs = ready.train, ready.config.block_specs
        with seeded(0):
            maps = nn.ModuleList(_new(spec, train.dim, train.points) for spec in specs)
            records = [
                types.SimpleNamespace(step=k + 1, step_size=1.0, plan={})
                for k in range(len(blocks))
            ]
            joint = Joint(ready.problem, records)  # type: ignore[arg-type]
            began = time.process_time()
            minimise(
                ready.problem.solver.of_step(0),
                Training(
                    maps,  # type: ignore[arg-type]
                    lambda _, rows: joint.loss(maps, train if rows is None else train.rows(rows)),  # type: ignore[arg-type]
                    len(train),
                ),
            )
        return (time.process_time() - began) / _PILOT


def _new(spec: Spec, dim: int, points: torch.Tensor) -> nn.Module:
    block = new_block(spec, dim, 0)
    block.initialise(points)
    return block


def ready_for(table: Table, dataset: Dataset) -> Prepared:
    """Return a run on data that are loaded already."""
    return prepare(validate({k: v for k, v in table.items() if k != "block"}), dataset)


def load(name: str, table: Table) -> Dataset:
    """Return the split of a seed, cut to the first training rows where data are to be few."""
    config = validate(table)
    dataset = config.source.load(derive(config.seed, "source"))
    rows = DATA[name].get("rows")
    if rows is None:
        return dataset
    held = max(100, rows // 4)
    return dataclasses.replace(dataset, train=dataset.train[:rows], valid=dataset.valid[:held])


def settings(arm: Arm, table: Table, costs: Costs, seconds: float) -> Table:
    """Return the run's configuration: iterations for the seconds of each phase."""
    blocks = [block for block, _, _ in arm.steps]
    planned = [
        max(1, round(fraction * seconds / costs.of([block]))) for block, _, fraction in arm.steps
    ]
    longest = max(planned)
    by_step = [
        {**own, "iterations": n, **({"check_every": max(1, n // 4)} if own else {})}
        for own, n in zip(arm.own or [{}] * len(planned), planned, strict=True)
    ]
    solver = {**table["solver"], "iterations": longest, "by_step": by_step}
    joint = round(arm.joint * seconds / costs.of(blocks)) if arm.joint else 0
    return {
        **table,
        "blocks": blocks,
        "scheme": {"name": "jko", "step_size": [h for _, h, _ in arm.steps]},
        "solver": solver,
        "stop": {"steps": len(blocks)},
        "refine": {
            "iterations": joint,
            "rate": arm.rate,
            "respace": arm.respace,
            "share": 1.0,
        },
    }


def train(prepared: Prepared, rest: Callable[[], None]) -> tuple[Any, str]:
    """Return the last state of a run and how it ended."""
    state = begun = prepared.problem.begin(prepared.train, prepared.valid)
    ended = "done"
    try:
        for after, _ in iterate(prepared.problem, begun, listener_of(lambda *_: rest())):
            state = after
            rest()
    except Converged:
        ended = "converged"
    except DivergenceError as error:
        ended = f"failed: {error}"
    return state, ended


def row(prepared: Prepared, state: Any, dataset: Dataset, certified: bool) -> Table:
    """Return what a run came to."""
    blocks = list(state.blocks)
    config = prepared.config
    test = particles_of(dataset, dataset.test, config, known=False)
    found = evaluate(prepared, blocks, test)
    scores = -prepared.flow(blocks).log_prob(dataset.test, audit=True).double()
    made = {
        "iterations": [r.iterations for r in state.records],
        "step_sizes": [r.step_size for r in state.records],
        "refined": state.records[-1].refined,
        "retries": sum(r.retries for r in state.records),
        "residual": state.records[-1].residual,
        "nll": found.nll_test,
        "nll_error": found.nll_error,
        "nll_valid": state.records[-1].nll_valid,
        "trip": found.inversion_error,
        "likelihood_error": found.likelihood_error,
        "parameters": found.parameters,
        **measure(prepared, blocks, test.points),
        "scores": [round(v, 3) for v in scores[:2000].tolist()],
    }
    if certified:
        run = FinishedRun(prepared, state)
        side = certify(settings_of(run), run, Budget(15.0)).to_dict()
        made["certificate"] = {k: side.get(k) for k in ("kl", "lower", "statement")}
    return made


def compare(name: str, block: str, seed: int, asked: argparse.Namespace) -> Iterable[Table]:
    """Train the arms of one data set, block and seed, and yield their rows."""
    table = {**base(name, block), "seed": seed}
    ways = [*arms(table["block"]), *light(table["block"])]
    chosen = [arm for arm in ways if not asked.arms or arm.name in asked.arms]
    seconds = asked.budget or DATA[name]["budget"]
    done = {key(r) for r in read(asked.out)}
    chosen = [arm for arm in chosen if (name, block, seconds, seed, arm.name) not in done]
    if not chosen:
        return
    dataset = load(name, table)
    costs = Costs(table, dataset)
    runs = {arm.name: ready_for(settings(arm, table, costs, seconds), dataset) for arm in chosen}
    turns = Turns()
    jobs = {
        name: (lambda rest, prepared=prepared: train(prepared, rest))
        for name, prepared in runs.items()
    }
    for arm, (state, ended) in turns.run(jobs).items():
        about = {"data": name, "block": block, "seed": seed, "arm": arm, "budget": seconds}
        made = {**about, "seconds": turns.spent[arm], "ended": ended, "machine": machine()}
        if state.records:
            made |= row(runs[arm], state, dataset, asked.certify)
        yield made


def key(row: Table) -> tuple[str, str, float, int, str]:
    """Return what tells a row from others."""
    return row["data"], row["block"], row["budget"], row["seed"], row["arm"]


def read(path: Path) -> list[Table]:
    """Return the rows that are there."""
    return [json.loads(t) for t in path.read_text().splitlines()] if path.exists() else []


def main() -> None:
    """Measure the data sets named, and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--block", choices=["autoregressive", "ode"], default="autoregressive")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--arms", nargs="+", help="some of the arms")
    parser.add_argument("--budget", type=float, help="CPU seconds of a run")
    parser.add_argument("--certify", action="store_true", help="certify each run, 15 s each")
    parser.add_argument("--out", type=Path, default=HERE / "results.jsonl")
    parser.add_argument("--table", action="store_true", help="only print what is there")
    parser.add_argument(
        "--thin", action="store_true", help="keep errors over test rows, not the scores of each"
    )
    asked = parser.parse_args()
    one_thread()
    keep_memory()
    if asked.thin:
        asked.out.write_text("".join(json.dumps(r) + "\n" for r in thinned(read(asked.out))))
    for seed in [] if asked.table or asked.thin else asked.seeds:
        for name in asked.names:
            for made in compare(name, asked.block, seed, asked):
                with asked.out.open("a") as file:
                    file.write(json.dumps(made) + "\n")
                short = {k: v for k, v in made.items() if k not in ("scores", "machine")}
                print(json.dumps(short), flush=True)
    print(tell(read(asked.out)))


if __name__ == "__main__":
    main()
