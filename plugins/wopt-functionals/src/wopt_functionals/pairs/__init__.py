"""Means over pairs of points, computed for a bounded number of pairs at a time."""
