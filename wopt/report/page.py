"""Pages made of the templates of this package: one HTML file that needs nothing but itself."""

from __future__ import annotations

import importlib.resources
from typing import Any

import jinja2
from markupsafe import Markup

from wopt.report.numbers import number

__all__ = ["page"]


def page(template: str, **values: Any) -> str:
    """Return a page; what comes from files is escaped, only our own stylesheet is not."""
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(_resource),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["number"] = number
    return environment.get_template(template).render(css=Markup(_resource("style.css")), **values)


def _resource(name: str) -> str:
    return importlib.resources.files("wopt.report").joinpath(name).read_text(encoding="utf-8")
