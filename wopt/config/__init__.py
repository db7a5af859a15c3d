"""Configuration: one TOML file is one run."""
