"""Entropic transport: geomloss's annealing, carried on by POT until it has converged."""
