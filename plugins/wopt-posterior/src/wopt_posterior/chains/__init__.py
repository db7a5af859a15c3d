"""Metropolis chains beside a sampler's training: they find mass that its own draws miss."""

from wopt_posterior.chains.forward import Forward, log_density_at, seen_by_chains

__all__ = ["Forward", "log_density_at", "seen_by_chains"]
