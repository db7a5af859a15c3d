"""Metropolis chains beside a sampler's training: they find mass that its own draws miss."""

from wopt_posterior.chains.anneal import annealed, density_of
from wopt_posterior.chains.apart import apart
from wopt_posterior.chains.forward import Forward
from wopt_posterior.chains.seen import log_density_at, seen_by_chains

__all__ = ["Forward", "annealed", "apart", "density_of", "log_density_at", "seen_by_chains"]
