"""Plans: every option that is not given, chosen by a few measured rules."""
