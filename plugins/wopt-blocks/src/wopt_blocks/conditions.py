"""The number of coordinates that a block moves, when the last ones are conditions."""

from __future__ import annotations

from wopt import ConfigError

__all__ = ["moved"]


def moved(block: str, dim: int, condition: int) -> int:
    """Return ``dim - condition``.

    Args:
        block: Name of the block, for the message.
        dim: Number of coordinates in all.
        condition: Number of conditions, which are the last coordinates.

    Raises:
        ConfigError: No coordinate would be left to move.

    Example:
        >>> moved("affine", 5, 2)
        3
    """
    if 0 <= condition < dim:
        return dim - condition
    raise ConfigError(
        f"{block}: with {condition} of {dim} coordinates as conditions there are none to move; "
        f"give fewer conditions, from 0 to {dim - 1}"
    )
