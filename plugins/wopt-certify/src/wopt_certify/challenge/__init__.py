"""Challengers: what KL(p | model) at least is, from samples, without an assumption on p."""

from wopt_certify.challenge.challenge import block_for, challenge
from wopt_certify.challenge.ladder import Options
from wopt_certify.challenge.limit import lower_limit
from wopt_certify.challenge.rivals import against
from wopt_certify.challenge.rows import Rows, View
from wopt_certify.lower import best_estimate

__all__ = [
    "Options",
    "Rows",
    "View",
    "against",
    "best_estimate",
    "block_for",
    "challenge",
    "lower_limit",
]
