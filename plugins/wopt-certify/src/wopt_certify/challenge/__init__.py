"""Challengers: what KL(p | model) at least is, from samples, without an assumption on p."""

from wopt_certify.challenge.challenge import challenge, portfolio
from wopt_certify.challenge.challenger import Challenger
from wopt_certify.challenge.judge import against, lower_limit
from wopt_certify.challenge.rows import ChallengeRows, View

__all__ = [
    "ChallengeRows",
    "Challenger",
    "View",
    "against",
    "challenge",
    "lower_limit",
    "portfolio",
]
