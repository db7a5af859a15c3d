"""Metropolis chains beside a sampler's training: they find mass that its own draws miss."""

from wopt_posterior.chains.anneal import annealed_chains, density_of
from wopt_posterior.chains.forward import Forward, log_density_at, seen_by_chains
from wopt_posterior.chains.mode_separation import mode_separation

__all__ = [
    "Forward",
    "annealed_chains",
    "density_of",
    "log_density_at",
    "mode_separation",
    "seen_by_chains",
]
