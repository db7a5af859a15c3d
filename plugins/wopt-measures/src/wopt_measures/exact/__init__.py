"""Exact solutions of gradient flows."""
