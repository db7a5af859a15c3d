"""Self-contained HTML pages made of the templates of this package."""

from __future__ import annotations

import importlib.resources
from typing import Any

import jinja2
from markupsafe import Markup, escape

from wopt.report.numbers import number

__all__ = ["code", "page"]


def page(template: str, package: str = "wopt.report", **values: Any) -> str:
    """Return a page, or a section of one; values are escaped, only our own stylesheet is not.

    Args:
        template: The file of the template.
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
    return importlib.resources.files("wopt.report").joinpath(name).read_text(encoding="utf-8")
