"""Challengers: what KL(p | model) at least is, from samples, without an assumption on p."""

from wopt_certify.challenge.challenge import challenge, challengers_for
from wopt_certify.challenge.challenger import Challenger, ChallengeRows
from wopt_certify.challenge.judge import lower_limit

__all__ = ["ChallengeRows", "Challenger", "challenge", "challengers_for", "lower_limit"]
