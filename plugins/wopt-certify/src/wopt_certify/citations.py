"""Whom to cite for what a certificate used: bounds, challengers, tests."""

from __future__ import annotations

from collections.abc import Iterator

from wopt.config import RunConfig
from wopt.store import RunDirectory, read_document
from wopt_certify.bounds import RULES
from wopt_certify.challenge.challenge import CLOSED
from wopt_certify.results import Certificate
from wopt_report import Cited, cited, cited_component, components

_TWO_SAMPLE = (
    "lopezpaz2017", "kim2021", "gretton2012", "schrab2023", "biggs2023", "phipson2010",
)  # fmt: skip


def certificate_citations(run: RunDirectory, config: RunConfig) -> Iterator[Cited]:
    """Yield what the certificate of a run used; nothing where there is none."""
    again = f"make it again with `wopt certify {run.path}`"
    made = read_document(run.certificate, Certificate, again)
    if made is None:
        return
    tables = [table for step in made.steps for table in (step.bounds.gap, step.bounds.w2)]
    names = {name for table in tables for name, entry in table.items() if entry.value is not None}
    for rule in sorted(RULES, key=lambda one: one.name):
        if rule.name in names:
            yield cited(f"bound {rule.name}", rule.cites)
    if any("critic" in step.residuals for step in made.steps):
        yield cited("trained test fields", ["rahimi2007"])
        yield from (cited_component(one) for one in components(config.certify))
    if made.final.tv is not None:
        yield cited("bound of the total variation", ["bretagnolle1979"])
    if any(step.transport is not None for step in made.steps):
        yield cited("plans between samples", ["gelbrich1990", "flamary2021"])
    if made.challengers is not None:
        names = {step.name.split(" on the ")[0] for step in made.challengers.escalation}
        used = [kind for kind in CLOSED if kind.name in names]
        keys = dict.fromkeys(key for kind in used for key in kind.cites)
        yield cited("challengers and their limits", [*keys, "waudby2024"])
    if made.two_sample is not None:
        yield cited("two-sample tests", _TWO_SAMPLE)
    if made.conditional is not None:
        yield cited("coverage given the conditions", ["hermans2022", "talts2018", "lemos2023"])
