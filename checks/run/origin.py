"""Where this process's kernels come from, and what of its environment they are given."""

from __future__ import annotations

import os
from enum import Enum

from checks.errors import UsageError

_PASSED_ON = ("LANG", "LANGUAGE", "LC_ALL", "LC_CTYPE", "LC_NUMERIC", "LC_TIME", "TZ", "USER", "LOGNAME")
_PASSED_ON_TO_FIND_CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR")
ORIGIN_VARIABLE = "PROOFBOOK_KERNELS"


class Origin(Enum):
    """Where kernels come from."""

    FORK = "fork"
    STOCK = "stock"


DEFAULT_ORIGIN = Origin.FORK


def origin() -> Origin:
    """Where this process's kernels come from.

    Raises:
        UsageError: the variable names something else.

    """
    named = os.environ.get(ORIGIN_VARIABLE, "") or DEFAULT_ORIGIN.value
    try:
        return Origin(named)
    except ValueError as error:
        raise UsageError(
            f"{ORIGIN_VARIABLE} is not understood",
            expected="one of " + ", ".join(origin.value for origin in Origin),
            found=named,
            remedy="unset it",
        ) from error


def passed_on() -> dict[str, str]:
    """What every kernel is given of this process's own environment."""
    return {name: os.environ[name] for name in _PASSED_ON + _PASSED_ON_TO_FIND_CERTIFICATES if name in os.environ}
