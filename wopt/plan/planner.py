"""A plan: the options of a candidate, and their merge with the options given."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Mapping
from typing import Any

from wopt.component import build, name_of
from wopt.host import host
from wopt.interfaces.candidate import Candidate
from wopt.options import merged, table_of
from wopt.plan.facts import Facts

Table = Mapping[str, Any]

_BLOCK, _SHARED = "autoregressive", "an autoregressive map"

JUDGES = 20_000
"""Number of held-out rows, and of test rows, that evaluate a model at most."""


@dataclasses.dataclass(frozen=True)
class Plan:
    """The options chosen for a problem.

    Attributes:
        name: Name of the candidate.
        table: Options as in a configuration file; ``preprocess`` is the source's.
        reasons: Clauses that tell what was chosen and why.
        facts: The facts from which the options were chosen, with the budget in CPU seconds.
    """

    name: str
    table: dict[str, Any]
    reasons: tuple[str, ...]
    facts: Any

    @property
    def summary(self) -> str:
        """The plan in one line."""
        return f"planned for {round(self.facts.budget, 1):g} CPU s: {'; '.join(self.reasons)}"

    def fill(self, given: Table) -> dict[str, Any]:
        """Return a configuration: the options given, and the planned ones where none are given.

        If another block is given than was planned, only those options of the solver are planned
        that suit every block, and the block keeps its defaults.

        Args:
            given: Options as read from TOML; they always win.

        Example:
            >>> facts = Facts(rows=15_216, held_out=1_902, columns=10)
            >>> table = plan(facts).fill({"source": "toy", "block": {"transforms": 2}})
            >>> table["block"]["name"], table["block"]["transforms"], table["stop"]
            ('autoregressive', 2, {'steps': 1})
            >>> plan(facts).fill({"block": "ode"})["block"]
            {'name': 'ode'}
        """
        planned = {k: v for k, v in copy.deepcopy(self.table).items() if k != "preprocess"}
        theirs = table_of(given.get("block", {})).get("name")
        if theirs not in (None, planned.get("block", {}).get("name")):
            planned["solver"] = {
                k: v for k, v in planned.get("solver", {}).items() if k in _ANY_BLOCK
            }
            if "scheme" in planned:
                planned["scheme"]["step_size"] = _STEP_OF_OTHERS
        return merged(planned, given)


def plan(facts: Facts, candidate: Candidate | None = None) -> Plan:
    """Return the options of a candidate, by default the nearest one with autoregressive maps.

    Args:
        facts: Facts of the data.
        candidate: A candidate.

    Example:
        >>> chosen = plan(Facts(rows=15_216, held_out=1_902, columns=10))
        >>> chosen.table["block"]["name"], chosen.table["scheme"]["step_size"]
        ('autoregressive', 100.0)
    """
    if candidate is None:
        plans = portfolio(facts)
        return next((p for p in plans if p.table["block"]["name"] == _BLOCK), plans[0])
    table = merged(_common(facts), candidate.tables(facts))
    return Plan(name_of(candidate), table, (candidate.what,), facts)


def portfolio(facts: Facts) -> list[Plan]:
    """Return the plans of all candidates that fit, the nearest one first.

    If none does (a start of known density), the only plan is what all candidates share.

    Example:
        >>> [p.reasons[0] for p in portfolio(Facts(60, 8, 10))][:2]
        ['a Gaussian', 'a mixture of Gaussians']
    """
    entries = host().registry.entries("candidate")
    candidates = [build("candidate", entry.qualified) for entry in entries]
    fitting = sorted((c for c in candidates if c.fits(facts)), key=lambda c: c.distance(facts))
    return [plan(facts, c) for c in fitting] or [Plan("", _common(facts), (_SHARED,), facts)]


def decay(rows: int) -> float:
    """Return the weight decay: 0.5 at 15,000 rows, falling with their cube root, within 0.1 to 1.

    Under Muon, whose steps have the length of the rate, it bounds a matrix's norm by its inverse.

    Example:
        >>> decay(15_216), decay(1218), decay(48_000)
        (0.5, 1.0, 0.34)
    """
    return min(1.0, max(0.1, round(0.5 * (15_216 / rows) ** (1 / 3), 2)))


def _common(facts: Facts) -> dict[str, Any]:
    """Return what all candidates share: one large step, Muon, the best on held-out rows."""
    return {
        "scheme": {"name": "jko", "step_size": 100.0},
        "block": {"name": _BLOCK},
        "stop": {"steps": 1},
        "guard": {"rows": JUDGES, "retries": 1, "standard_errors": 4.0, "keep": True},
        "solver": {
            "optimiser": "muon", "learning_rate": 2e-3, "matrix_rate": 0.02, "batch_size": 500,
            "ema": 0.99, "weight_decay": decay(facts.rows), "check_every": 0.05,
            "check_rows": 1000, "patience": 0.4, "warm_start": False,
        },
    }  # fmt: skip


_ANY_BLOCK = ("optimiser", "seconds", "batch_size", "ema", "check_every", "check_rows",
              "patience", "warm_start")  # fmt: skip
"""Options of the solver that are planned for blocks other than the planned one."""

_STEP_OF_OTHERS = 8.0
"""h where another block is given than was planned."""
