"""Training: the inner solver, the guard, the stop rules and the outer loop."""
