"""Runs: how they are started, resumed, written and read back."""
