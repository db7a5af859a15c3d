"""The format of numbers for readers."""

from __future__ import annotations

__all__ = ["Number", "number"]

Number = float | int | None

_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def number(value: Number, digits: int = 4) -> str:
    """Return a number in the format of the page.

    Example:
        >>> [number(v) for v in (None, 12345, 2.79123, -0.00001234)]
        ['–', '12,345', '2.791', '−1.23×10⁻⁵']
    """
    if value is None:
        return "–"
    if value != value:
        return "not finite"
    if isinstance(value, int):
        return f"{value:,}".replace("-", "−")
    if value == 0:
        return "0"
    if not 1e-3 <= abs(value) < 1e5:
        mantissa, exponent = f"{abs(value):.2e}".split("e")
        power = f"10{str(int(exponent)).translate(_SUPERSCRIPTS)}"
        text = power if mantissa == "1.00" else f"{mantissa}×{power}"
    else:
        text = f"{abs(value):.{digits}g}" if abs(value) < 10**digits else f"{abs(value):.0f}"
    return ("−" if value < 0 else "") + text
