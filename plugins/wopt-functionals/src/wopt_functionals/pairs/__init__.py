"""Means over pairs of points, a bounded number of pairs at a time."""
