"""Objectives of the particles' positions alone."""
