"""Sources: where the start comes from."""
