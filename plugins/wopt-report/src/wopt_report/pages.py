"""Pages made of the templates of this package, and how numbers are written on them."""

from __future__ import annotations

import importlib.resources
from typing import Any

import jinja2
from markupsafe import Markup, escape

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


def page(template: str, package: str = "wopt_report", **values: Any) -> str:
    """Return a page, or a section of one; values are escaped, only our own stylesheet is not.

    Args:
        package: The package of the template; templates of this one are available to all.
        values: The values of the template's variables.
    """

    def find(name: str) -> str:
        at = importlib.resources.files(package).joinpath(name)
        return at.read_text(encoding="utf-8") if at.is_file() else _resource(name)

    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(find),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["number"] = number
    environment.filters["code"] = code
    return environment.get_template(template).render(css=Markup(_resource("style.css")), **values)


def code(text: str) -> Markup:
    """Return escaped text with the parts between backticks as code.

    Example:
        >>> str(code("set `a < 1`"))
        'set <code>a &lt; 1</code>'
    """
    parts = str(text).split("`")
    return Markup().join(
        Markup("<code>{}</code>").format(part) if k % 2 and k < len(parts) - 1 else escape(part)
        for k, part in enumerate(parts)
    )


def _resource(name: str) -> str:
    return importlib.resources.files("wopt_report").joinpath(name).read_text(encoding="utf-8")
