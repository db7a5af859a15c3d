"""Objectives that depend on the particles' positions alone."""
