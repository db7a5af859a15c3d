"""The kinds of gap that a certificate bounds."""

from __future__ import annotations

import enum

__all__ = ["GapKind"]


class GapKind(enum.StrEnum):
    """The kind of a gap; its value is the notation.

    Example:
        >>> GapKind("KL(data | model)").in_nats, GapKind.ENERGY.in_nats
        (True, False)
    """

    KL_DATA_MODEL = "KL(data | model)"
    KL_MODEL_TARGET = "KL(model | target)"
    ENERGY = "G(p_N) - min G"

    @property
    def in_nats(self) -> bool:
        """Whether the gap is a divergence."""
        return self is not GapKind.ENERGY

    @property
    def along(self) -> str:
        """The notation of the gap after each step."""
        return "KL(p_n | q)" if self.in_nats else "G(p_n) - min G"

    @property
    def known_by(self) -> str:
        """The reason why the gap's value is known, where it is."""
        return "both densities, which are known" if self.in_nats else "the minimum, which is known"

    @property
    def short(self) -> str:
        """The notation in a formula."""
        return "KL" if self.in_nats else "G - min G"

    @classmethod
    def of_model(cls, pushes: bool) -> GapKind:
        """Return the divergence of a start pushed forward, or of a target pulled back to data."""
        return cls.KL_MODEL_TARGET if pushes else cls.KL_DATA_MODEL
