"""Sampling a posterior that is given by a function: ``wopt.sample``."""

from wopt.runs.posterior.posterior import Posterior
from wopt.runs.posterior.sampling import sample

__all__ = ["Posterior", "sample"]
