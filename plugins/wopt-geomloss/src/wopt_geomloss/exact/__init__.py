"""Exact transport plans, by sorting on the line and by network simplex elsewhere."""
