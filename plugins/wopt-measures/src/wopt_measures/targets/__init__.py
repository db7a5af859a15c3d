"""Targets: measures to approach."""
