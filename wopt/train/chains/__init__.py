"""Metropolis chains beside a sampler's training: they find mass that its own draws miss."""

from wopt.train.chains.anneal import annealed, density_of
from wopt.train.chains.apart import apart
from wopt.train.chains.forward import Forward
from wopt.train.chains.seen import log_density_at, seen_by_chains

__all__ = ["Forward", "annealed", "apart", "density_of", "log_density_at", "seen_by_chains"]
