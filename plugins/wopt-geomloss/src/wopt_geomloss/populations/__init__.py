"""Populations in time: their source, how a flow is led through them, and how it is judged."""
