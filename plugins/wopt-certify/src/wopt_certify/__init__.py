"""Certificates: what can be measured of a run's errors, and what follows from it."""
