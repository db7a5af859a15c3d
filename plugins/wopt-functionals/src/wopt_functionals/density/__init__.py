"""Objectives that depend on the particles' density."""
