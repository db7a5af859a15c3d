"""What a run leaves on disk: its directory, and how its state is written and read back."""
