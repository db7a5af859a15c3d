"""Formulas as MathML, which browsers draw themselves: pages need no network and no scripts."""

from __future__ import annotations

import html
import re
from typing import Any

from latex2mathml.converter import convert

TAG = re.compile(r"\\tag\{([^}]*)\}")
LETTERS = {
    r"\mathbb R": "\u211d ",
    r"\mathbb G": "\U0001d53e ",
    r"\mathcal P": "\U0001d4ab ",
    r"\lvert": "| ",
    r"\rvert": "| ",
    r"\vert": "| ",
}
"""Letters whose variants MathML Core leaves to Unicode, and bars that should not stretch."""
BAR = '<mo stretchy="false">&#x0007C;</mo>'


def mathml(latex: str, display: str) -> str:
    """Return MathML of a formula."""
    for command, letter in LETTERS.items():
        latex = latex.replace(command, letter)
    made: str = convert(" ".join(latex.split()), display=display)
    return made.replace(BAR, BAR.replace(">", ' lspace="0" rspace="0">', 1))


def inline(self: Any, node: Any) -> None:
    """Write a formula in a line of text."""
    from docutils import nodes

    self.body.append(f'<span class="math">{mathml(node.astext(), "inline")}</span>')
    raise nodes.SkipNode


def block(self: Any, node: Any) -> None:
    r"""Write a formula on lines of its own, with the number that its ``\tag`` gives."""
    from docutils import nodes

    latex = node.astext()
    match = TAG.search(latex)
    number = html.escape(match[1]) if match else ""
    anchor = f' id="eq-{number.replace(".", "-")}"' if number else ""
    label = f'<span class="number">({number})</span>' if number else ""
    formula = mathml(TAG.sub("", latex), "block")
    self.body.append(f'<div class="formula"{anchor}>{formula}{label}</div>\n')
    raise nodes.SkipNode


def setup(app: Any) -> dict[str, Any]:
    """Register the renderer with Sphinx."""
    app.add_html_math_renderer("mathml", (inline, None), (block, None))
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
