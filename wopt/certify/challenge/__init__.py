"""Challengers: a lower bound of KL(p | model) from samples, without an assumption on p."""

from wopt.certify.challenge.challenge import block_for, challenge
from wopt.certify.challenge.ladder import Options
from wopt.certify.challenge.limit import error_of_mean, lower_limit
from wopt.certify.challenge.rivals import against
from wopt.certify.challenge.rows import Rows, View
from wopt.certify.lower import best_estimate

__all__ = [
    "Options",
    "Rows",
    "View",
    "against",
    "best_estimate",
    "block_for",
    "challenge",
    "error_of_mean",
    "lower_limit",
]
