"""A new plugin from templates that ship with wopt."""
