"""The interfaces that plugins implement, one in each file."""
