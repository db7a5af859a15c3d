"""Data: splits, invertible preprocessing, and reading tables."""
