"""Probability laws in closed form, shared by targets and sources."""
