"""Certificates: measurements of a run's errors, and the bounds that follow from them."""
