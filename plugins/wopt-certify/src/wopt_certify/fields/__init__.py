"""Test fields for the Stein form: smooth, with exact divergences."""
