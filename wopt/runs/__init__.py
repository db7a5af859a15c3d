"""Runs: their directory, what they write, how they go on and how they are read back."""
