"""Populations in time: their source, step sizes that follow them, and scores of a flow."""
