"""Sources of data and of starts."""
