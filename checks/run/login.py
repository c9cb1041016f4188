"""Who acts: the account that this process belongs to, whatever its environment variables say."""

from __future__ import annotations

import os
import pwd
import re

_A_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@+-]{0,63}")


def login() -> str:
    """The name of the account; where its number has none, as in some containers, the number and who `LOGNAME` says it is.

    Whoever starts a process can set that variable, so it never stands for an account that has a name, and never without
    the number.
    """
    number = os.getuid()
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        claimed = os.environ.get("LOGNAME", "")
        return f"{claimed} (uid {number})" if _A_NAME.fullmatch(claimed) else f"uid {number}"
