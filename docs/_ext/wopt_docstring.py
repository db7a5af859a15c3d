"""A class's docstring as Markdown."""

from __future__ import annotations

import inspect
import re

ROLE = re.compile(r":(?:\w+:)?(?:class|func|meth|attr|data|mod|exc):`([^`]+)`")
SECTION = re.compile(r"^(Args|Attributes|Example|Examples|Raises|Returns|Note|See also):\s*$")


def markdown(cls: type) -> str:
    """Return the docstring, without the arguments that the table of options explains.

    Example:
        >>> class A:
        ...     '''One :class:`~wopt.flow.Flow` of ``n`` rows.'''
        >>> markdown(A)
        'One `Flow` of `n` rows.'
    """
    text = inspect.cleandoc(cls.__doc__ or "")
    parts: list[tuple[str, list[str]]] = [("", [])]
    for line in text.split("\n"):
        match = SECTION.match(line)
        if match:
            parts.append((match[1], []))
        elif parts[-1][0] and line and not line.startswith(" "):
            parts.append(("", [line]))  # a paragraph after a section
        else:
            parts[-1][1].append(line)
    return "\n\n".join(p for p in (_part(*part) for part in parts) if p)


def _part(title: str, lines: list[str]) -> str:
    if title in ("Args", "Returns"):
        return ""
    body = inspect.cleandoc("\n" + "\n".join(lines)) if title else "\n".join(lines).strip("\n")
    if title.startswith("Example"):
        return f"```pycon\n{body}\n```" if body else ""
    body = ROLE.sub(lambda m: f"`{_last(m[1])}`", body).replace("``", "`")
    body = re.sub(r"\bdocs/theory\b", "[the mathematics](/theory/index.md)", body)
    body = re.sub(r"^Source: ", "**Source.** ", body, flags=re.M)
    if title in ("Raises", "Attributes"):
        return f"**{title}**\n\n{_items(body)}"
    return f"**{title}.** {body}" if title else body


def _last(target: str) -> str:
    shown = target.partition(" <")[0]
    return shown[1:].rpartition(".")[2] if shown.startswith("~") else shown


def _items(body: str) -> str:
    """Return ``name: text`` lines as a list."""
    items: list[str] = []
    for line in body.split("\n"):
        match = re.match(r"^([\w, ]+): (.*)$", line)
        if match:
            items.append(f"- `{match[1]}`: {match[2]}")
        elif items:
            items[-1] += f" {line.strip()}"
    return "\n".join(items)
