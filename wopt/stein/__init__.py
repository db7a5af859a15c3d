"""The Stein form of first-order errors, and its affine test fields."""
