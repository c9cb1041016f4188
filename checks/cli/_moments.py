"""Times and spans as people type them."""

from __future__ import annotations

from datetime import datetime, timedelta


def moment(text: str) -> datetime:
    """A time with its zone, in UTC.

    Raises:
        UsageError: it is none.

    """
    from checks.catalogue._schema import parse_moment
    from checks.errors import UsageError

    try:
        return parse_moment(text)
    except ValueError as error:
        raise UsageError(
            str(error).partition(";")[0], expected="a time with its zone", found=text, example="2024-11-02T10:42Z"
        ) from error


def span(text: str) -> timedelta:
    """How long.

    Raises:
        UsageError: it is no duration above zero.

    """
    from checks.catalogue.probe_kinds import parse_duration
    from checks.errors import UsageError

    try:
        return parse_duration(text)
    except ValueError as error:
        raise UsageError(f"`{text}` is no duration", expected=str(error).removeprefix("expected "), found=text) from error
