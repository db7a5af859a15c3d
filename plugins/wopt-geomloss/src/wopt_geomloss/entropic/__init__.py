"""Entropic transport: geomloss's annealing, continued by POT until it has converged."""
