"""The interfaces that plugins implement, one a file."""
