"""Who acts: the account that this process belongs to, whatever its environment variables say."""

from __future__ import annotations

import os
import pwd


def login() -> str:
    """The name of the account, or its number where it has none."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"uid {os.getuid()}"
