"""The run directory on disk: how a run's state is written and read back."""
