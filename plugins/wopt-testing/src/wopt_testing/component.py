"""All checks of a component, by kind and name."""

from __future__ import annotations

import inspect
import math
import os
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

import wopt
from wopt import Candidate, Source, StepSize
from wopt.capabilities import Capability
from wopt.citations import find_citations
from wopt.component import Component, Spec, build, config_of, options_model
from wopt.config import validate
from wopt.errors import CapabilityError, ConfigError, PluginError
from wopt.host import host
from wopt.interfaces import (
    Budget,
    FinishedRun,
    Measurement,
    Objective,
    Solver,
    SolveReport,
    Subproblem,
    Target,
    Training,
)
from wopt.plan import Facts, plan
from wopt.train import minimise
from wopt.typed import Typed
from wopt_testing.checks import LawError, Laws, check_block, check_objective
from wopt_testing.claims import check_claims
from wopt_testing.gaussian import AffineBlock, gaussian_nodes
from wopt_testing.schemes import check_scheme
from wopt_testing.target_claims import check_target_claims


def check_component(kind: str, name: str) -> list[str]:
    """Check a registered component against the laws of its interface.

    A component with required options is made with its class's ``example`` (a dict of options), if
    it has one; otherwise only the declarations are checked, and the list says so. What its methods
    return is checked at every call (``WOPT_STRICT=1`` is set), unless its class is imported before.

    Args:
        kind: One of :data:`wopt.registry.KINDS`.
    """
    os.environ.setdefault("WOPT_STRICT", "1")  # read where the class is defined, when it is loaded
    cls: type[Component] = host().registry.load(kind, name)
    done = _declarations(cls)
    table = {"name": name, **cls.example}
    required = [
        option
        for option, field in options_model(cls).model_fields.items()
        if field.is_required() and option not in table
    ]
    if required:
        return [*done, f"not made: needs {', '.join(required)} (give the class an `example`)"]
    try:
        made = build(kind, table)
    except ConfigError as error:
        if cls.example:
            raise
        return [*done, f"not made: {error} (give the class an `example`)"]
    if config_of(build(kind, config_of(made))) != config_of(made):
        raise LawError(f"{kind} {name} breaks round_trip: config -> component -> config changes it")
    done.append("round_trip")
    if kind == "scheme":
        try:
            return [*done, *check_scheme(lambda h: build(kind, {**table, "step_size": h}))]
        except CapabilityError as error:  # the affine block of the check lacks something
            return [*done, f"not run: {error}"]
    check = _CHECKS.get(kind)
    return [*done, *(check(made) if check else [])]


def check_target(target: Target, dim: int | None = None, seed: int = 0) -> list[str]:
    """Check a target: shapes, its score against its potential, its samples."""
    d = dim or target.dim or 2
    rng = torch.Generator().manual_seed(seed)
    x = torch.randn(9, d, dtype=torch.float64, generator=rng)
    law = Laws(f"target {type(target).__name__}")
    if Capability.POTENTIAL in target.provides:
        law.holds("potential_shape", target.potential(x).shape == (9,))
        law.holds("potential_float32", target.potential(x.float()).dtype == torch.float32)
    if Capability.SCORE in target.provides:
        law.holds("score_shape", target.score(x).shape == (9, d))
        if Capability.POTENTIAL in target.provides:
            exact = Target.score(target, x)
            law.holds("score_is_minus_gradient", torch.allclose(target.score(x), exact, atol=1e-8))
    if Capability.TARGET_SAMPLES in target.provides:
        first, second = (
            target.sample(50, d, torch.Generator().manual_seed(seed)) for _ in range(2)
        )
        law.holds("sample_shape", first.shape == (50, d))
        law.holds("samples_are_seeded", torch.equal(first, second))
        law.holds("samples_are_finite", bool(torch.isfinite(first).all()))
    return [*law.done, *check_target_claims(target, d, seed=seed)]


def check_source(source: Source) -> list[str]:
    """Check a source: reproducible, finite data, and preprocessing that inverts."""
    source.check()
    data, again = source.load(0), source.load(0)
    law = Laws(f"source {type(source).__name__}")
    law.holds("same_for_the_same_seed", torch.equal(data.train, again.train))
    splits = (data.train, data.valid, data.test)
    law.holds("splits_are_finite", all(bool(torch.isfinite(x).all()) for x in splits))
    law.holds("splits_are_not_empty", all(len(x) for x in splits))
    law.holds("columns_are_named", len(data.names) == data.dim)
    back = data.transform.inverse(data.transform.move(data.test))[0]
    law.holds("preprocessing_inverts", torch.allclose(back, data.test, atol=1e-8))
    if data.log_density is not None:
        law.holds(
            "log_density_shape", data.log_density(data.test[:5]).shape == (min(5, len(data.test)),)
        )
    return law.done


def check_step_size(rule: StepSize) -> list[str]:
    """Check a step-size rule: step sizes are positive and finite for twenty steps."""
    previous = None
    for step in range(20):
        h = rule(step, previous)
        if not (h > 0 and math.isfinite(h)):
            raise LawError(f"step size {type(rule).__name__} gives h = {h} at step {step}")
        previous = h
    return ["positive_and_finite"]


def _declarations(cls: type[Component]) -> list[str]:
    if not inspect.getdoc(cls):
        raise LawError(f"{cls.__name__} breaks documented: it has no docstring")
    bare = [n for n, field in options_model(cls).model_fields.items() if not field.description]
    if bare:
        raise LawError(f"{cls.__name__} breaks options_described: {', '.join(bare)} say nothing")
    done = ["documented", "options_described"]
    if cls.cites is None:
        return [*done, "not cited: no `cites` (keys of citations.toml; () if it needs none)"]
    try:
        find_citations(cls.cites, cls.__module__)
    except PluginError as error:
        raise LawError(f"{cls.__name__} breaks citations_exist: {error}") from None
    return [*done, "citations_exist"]


def _block(spec: Spec) -> list[str]:
    for dim in (2, 3):
        done = check_block(spec.build(dim=dim), dim)
    return done


def _objective(objective: Objective) -> list[str]:
    eye = torch.eye(2, dtype=torch.float64)
    if objective.target is not None and objective.target.dim not in (None, 2):
        return ["not evaluated: its target is not of dimension 2", *check_claims(objective)]
    nodes = gaussian_nodes(eye[0], 0.5 * eye, order=6)
    return [*check_objective(objective, nodes), *check_claims(objective)]


def check_solver(solver: Solver) -> list[str]:
    """Check a solver on the JKO step between two Gaussians, whose minimiser is affine and known.

    The map may be anything that lowers the subproblem: the law is that its value falls, that it is
    finite, and that the report says how many iterations were made.
    """
    law, block = Laws(f"solver {type(solver).__name__}"), AffineBlock(2).double()
    eye = torch.eye(2, dtype=torch.float64)
    nodes = gaussian_nodes(eye[0], 4 * eye, order=6)
    objective = build("objective", "kl")
    sub = Subproblem(nodes, nodes.points, 1.0, objective)

    def loss(made: Any, rows: Tensor | None) -> Tensor:
        """Return the subproblem's loss on rows of numbers ``(n,)``, or on all."""
        return (sub if rows is None else sub.rows(rows)).loss(made)

    solver = solver.of_step(0).varied(iterations=20, batch_size=len(nodes))
    training = Training(block, loss, len(nodes), subproblem=sub, target=objective.target)
    before = float(loss(block, None).detach())
    try:
        report = minimise(solver, training)
    except CapabilityError as error:  # it is for steps of another kind
        return [f"not run: {error}"]
    law.holds("reports_what_it_did", isinstance(report, SolveReport) and report.iterations > 0)
    law.holds("loss_is_finite", not report.diverged and math.isfinite(report.loss))
    law.holds("subproblem_falls", float(loss(block, None).detach()) < before)
    return law.done


def check_measurement(measurement: Measurement) -> list[str]:
    """Check a measurement: the declared document, which reads what it writes.

    Where it applies to a run of two affine steps on a Gaussian table, it is made of that run.
    """
    law = Laws(f"measurement {type(measurement).__name__}")
    of = getattr(measurement, "document", None)
    law.holds("document_is_typed", isinstance(of, type) and issubclass(of, Typed))
    run = _finished()
    why = measurement.applies(run)
    law.holds("says_why_not", why is None or (isinstance(why, str) and bool(why)))
    if why is not None:
        return [*law.done, f"not made: {why}"]
    document = measurement.measure(run, Budget(1.0))
    if document is None:
        return [*law.done, "not made: nothing to tell of this run"]
    law.holds("returns_its_document", isinstance(document, measurement.document))
    table = document.to_dict()
    law.holds("reads_what_it_writes", measurement.document.from_dict(table).to_dict() == table)
    return law.done


def check_candidate(candidate: Candidate) -> list[str]:
    """Check a candidate: tables of a configuration, which can be validated."""
    law = Laws(f"candidate {type(candidate).__name__}")
    facts = Facts(rows=300, held_out=30, columns=5)
    law.holds("fits_says_yes_or_no", isinstance(candidate.fits(facts), bool))
    if not candidate.fits(facts):
        return [*law.done, "not planned: it does not fit 300 rows of 5 columns"]
    law.holds("distance_is_not_negative", candidate.distance(facts) >= 0)
    tables = candidate.tables(facts)
    law.holds("returns_tables", isinstance(tables, dict) and all(k in _TABLES for k in tables))
    chosen = plan(facts, candidate)
    validate(chosen.fill({"source": {"name": "toy", "shape": "moons"}}))
    return [*law.done, "configuration_is_valid"]


_TABLES = ("preprocess", "block", "blocks", "scheme", "solver", "stop", "guard", "refine")


def _finished() -> FinishedRun:
    """Return a run of two affine steps on a Gaussian table."""
    x = torch.randn(300, 2, generator=torch.Generator().manual_seed(0))
    made = wopt.fit(
        x, scheme={"name": "jko", "step_size": 1.0}, block=AffineBlock(2),
        solver={"iterations": 10, "batch_size": 100}, stop={"steps": 2}, listener=False,
    )  # fmt: skip
    return FinishedRun(made.prepared, made.state, flow=made.flow)


_CHECKS: dict[str, Callable[[Any], list[str]]] = {
    "block": _block,
    "candidate": check_candidate,
    "measurement": check_measurement,
    "objective": _objective,
    "solver": check_solver,
    "source": check_source,
    "step_size": check_step_size,
    "target": check_target,
}
