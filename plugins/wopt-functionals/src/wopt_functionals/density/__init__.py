"""Objectives that look at the particles' density."""
