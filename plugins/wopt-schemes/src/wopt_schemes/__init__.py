"""First-order schemes for wopt."""
