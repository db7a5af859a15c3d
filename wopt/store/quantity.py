"""What the gap of a certificate is of."""

from __future__ import annotations

import enum

__all__ = ["Quantity"]


class Quantity(enum.StrEnum):
    """What a gap is of; its value is how it is written.

    Example:
        >>> Quantity("KL(data | model)").in_nats, Quantity.ENERGY.in_nats
        (True, False)
    """

    KL_DATA_MODEL = "KL(data | model)"
    KL_MODEL_TARGET = "KL(model | target)"
    ENERGY = "G(p_N) - min G"

    @property
    def in_nats(self) -> bool:
        """Whether it is a divergence."""
        return self is not Quantity.ENERGY

    @property
    def along(self) -> str:
        """What it is after each step."""
        return "KL(p_n | q)" if self.in_nats else "G(p_n) - min G"

    @property
    def known_by(self) -> str:
        """What is known where its value is."""
        return "both densities, which are known" if self.in_nats else "the minimum, which is known"

    @property
    def short(self) -> str:
        """It in a formula."""
        return "KL" if self.in_nats else "G - min G"

    @classmethod
    def of_model(cls, pushes: bool) -> Quantity:
        """Return the divergence of a start pushed forward, or of a target pulled back to data."""
        return cls.KL_MODEL_TARGET if pushes else cls.KL_DATA_MODEL
