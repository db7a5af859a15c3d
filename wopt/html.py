"""Escaped HTML tables for notebooks."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence


def table(head: Sequence[str], rows: Iterable[Sequence[object]], title: str = "") -> str:
    """Return a table with escaped text; without a head the first column holds headings."""
    caption = f"<caption>{html.escape(title)}</caption>" if title else ""
    names = "".join(f"<th>{html.escape(name)}</th>" for name in head)
    top = f"<thead><tr>{names}</tr></thead>" if head else ""
    body = "".join(f"<tr>{_cells(row, first_is_head=not head)}</tr>" for row in rows)
    return f'<table class="dataframe">{caption}{top}<tbody>{body}</tbody></table>'


def paragraph(text: str, *, bold: bool = False) -> str:
    """Return a paragraph of escaped text."""
    inner = html.escape(text)
    return f"<p><strong>{inner}</strong></p>" if bold else f"<p>{inner}</p>"


def _cells(row: Sequence[object], *, first_is_head: bool) -> str:
    tags = ["th" if first_is_head and k == 0 else "td" for k in range(len(row))]
    return "".join(
        f"<{tag}>{html.escape(str(cell))}</{tag}>" for tag, cell in zip(tags, row, strict=True)
    )
