"""Permissions that the user, not a file, gives: to run code, use other data, call trackers."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Literal

from wopt.errors import ConfigError

What = Literal["code", "changed code", "changed data", "tracker"]

_GIVEN = set[What]()
"""What this process may do now."""


def allowed(what: What) -> bool:
    """Return whether something is allowed now.

    Example:
        >>> with allow_tracker():
        ...     allowed("tracker"), allowed("code")
        (True, False)
    """
    return what in _GIVEN


@contextlib.contextmanager
def _allowing(*what: What) -> Iterator[None]:
    new = set(what) - _GIVEN
    _GIVEN.update(new)
    try:
        yield
    finally:
        _GIVEN.difference_update(new)


def allow_code(*, changed: bool = False) -> contextlib.AbstractContextManager[None]:
    """Allow the code that configurations name to run, in this process, until the block ends.

    A configuration, and so a run directory, may name a Python file (target ``python``). Loading it
    would run its author's code, so it needs permission, here or by ``--allow-code`` on the command
    line. Read the file first.

    Args:
        changed: Whether to allow a file whose hash differs from the recorded one, so that the model
            belongs to another target (``--allow-changed-code``).

    Example:
        >>> with allow_code():
        ...     check_code("model.py", "abc", None)
    """
    return _allowing("code", "changed code") if changed else _allowing("code")


def allow_changed_data() -> contextlib.AbstractContextManager[None]:
    """Let runs continue with other data than they were made from, until the block ends.

    A run directory records the hash of its data. Other data are rejected by default, since they
    could contain training rows among the test rows; this block, or ``--allow-changed-data``, allows
    them. The log and certificates record it.
    """
    return _allowing("changed data")


def allow_tracker() -> contextlib.AbstractContextManager[None]:
    """Let continued runs use the tracker that their directory names, until the block ends.

    A tracker writes or sends records to where its options say, and the directory may come from
    somebody else. Read its ``config.toml`` first.
    """
    return _allowing("tracker")


def check_code(path: str, sha256: str, recorded: str | None) -> None:
    """Raise unless the file may be run."""
    if not allowed("code"):
        raise ConfigError(
            f"this configuration runs the code in {path} (sha256 {sha256[:12]}); read that file, "
            "then allow it with --allow-code (in Python: with wopt.allow_code():)"
        )
    if recorded is not None and recorded != sha256 and not allowed("changed code"):
        raise ConfigError(
            f"{path} has changed: the run recorded sha256 {recorded[:12]}, and it is "
            f"{sha256[:12]} now, so the run's model and figures belong to another target. Restore "
            "the file, or allow the changed one with --allow-changed-code (in Python: "
            "wopt.allow_code(changed=True))"
        )
