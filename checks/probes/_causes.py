"""Why a connection failed, in plain words that are the same whatever library it was."""

from __future__ import annotations

import errno
import socket
import ssl


def why(error: BaseException) -> str | None:
    """The cause in plain words; libraries keep it in the chain of causes. ``None`` where there is none that is known."""
    cause: BaseException | None = error
    while cause is not None:
        if words := _words(cause):
            return words
        cause = cause.__cause__ or cause.__context__
    return None


def _words(cause: BaseException) -> str | None:
    # Of a host with several addresses, asyncio tells the errors in one text only.
    if isinstance(cause, ConnectionRefusedError) or (
        isinstance(cause, OSError) and f"[Errno {errno.ECONNREFUSED}]" in str(cause)
    ):
        return "the connection was refused"
    if isinstance(cause, ConnectionResetError | ConnectionAbortedError | BrokenPipeError):
        return "the connection was reset"
    if isinstance(cause, ssl.SSLCertVerificationError):
        return f"the certificate is not valid: {cause.verify_message}"
    if isinstance(cause, ssl.SSLError):
        return f"TLS failed: {cause.reason or 'no reason given'}"
    if isinstance(cause, socket.gaierror):
        return "the host's name is not known"
    return None


def caused_by(error: BaseException, kind: type[BaseException]) -> bool:
    """Whether an error of this kind is in the chain of causes."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, kind):
            return True
        cause = cause.__cause__ or cause.__context__
    return False
