"""Objectives that compare particles with samples of a target."""
