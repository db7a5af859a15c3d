"""Challengers: what KL(p | model) at least is, from samples, without an assumption on p."""

from wopt_certify.challenge.challenge import block_for, challenge
from wopt_certify.challenge.escalation import EscalationOptions
from wopt_certify.challenge.judge import against, lower_limit
from wopt_certify.challenge.rows import ChallengeRows, View
from wopt_certify.lower import best_estimate

__all__ = [
    "ChallengeRows",
    "EscalationOptions",
    "View",
    "against",
    "best_estimate",
    "block_for",
    "challenge",
    "lower_limit",
]
