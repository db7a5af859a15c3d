"""New plugins from templates that ship with wopt."""
