"""The planner of samplers: stages, rounds, modes that are apart."""
