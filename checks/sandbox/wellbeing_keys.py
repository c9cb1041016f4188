"""The administrator's token and the key that signs users' tokens, in the wellbeing stand-in."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from checks.sandbox.kit import HttpError, read_json, utc_text, write_json

_OLD_KEY_DAYS = 90


class Keys:
    """The administrator's token and the SECRET_KEY that signs users' tokens, in a file that only this user may read.

    A key that is written is in use from the next start on, as with any service that reads its environment once.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        held = read_json(path)
        held.setdefault("admin_token", secrets.token_urlsafe(24))
        if "secret_key" not in held:
            held |= {"secret_key": secrets.token_urlsafe(32), "secret_key_since": utc_text(datetime.now(UTC))}
        write_json(path, held, mode=0o600)
        self.token = str(held["admin_token"])
        self._in_use, self._in_use_since = str(held["secret_key"]), str(held["secret_key_since"])

    def renew(self) -> dict[str, object]:
        """Write a new key; it is shown to nobody."""
        since = utc_text(datetime.now(UTC))
        write_json(
            self.path, {**read_json(self.path), "secret_key": secrets.token_urlsafe(32), "secret_key_since": since}, mode=0o600
        )
        return {"written_at": since, "in_use_since": self._in_use_since}

    def state(self) -> dict[str, object]:
        """How old the key is that is in use, and whether another one waits for the next start."""
        age = datetime.now(UTC) - datetime.fromisoformat(self._in_use_since)
        waiting = read_json(self.path).get("secret_key") != self._in_use
        return {"age_days": round(age / timedelta(days=1), 4), "in_use_since": self._in_use_since, "another_waits": waiting}

    def restore_old(self, *, wanted: bool) -> None:
        """Bring back a key of three months ago, as a restored configuration does, or put away what was brought back."""
        held = read_json(self.path)
        if wanted and "kept" not in held:
            kept = {name: held[name] for name in ("secret_key", "secret_key_since")}
            since = utc_text(datetime.now(UTC) - timedelta(days=_OLD_KEY_DAYS))
            held |= {"kept": kept, "secret_key": secrets.token_urlsafe(32), "secret_key_since": since}
        elif not wanted and "kept" in held:
            held |= held.pop("kept")
        else:
            return
        write_json(self.path, held, mode=0o600)
        self._in_use, self._in_use_since = str(held["secret_key"]), str(held["secret_key_since"])

    def issue(self, user: int) -> str:
        """A token of a user for an hour."""
        body = f"{user}.{int(time.time()) + 3600}"
        return f"{body}.{self._mark(body)}"

    def user_of(self, token: str) -> int:
        """Whom a token names.

        Raises:
            HttpError: 401, it was signed with another key, or is over.

        """
        body, _, mark = token.rpartition(".")
        user, _, until = body.partition(".")
        if not hmac.compare_digest(mark.encode(), self._mark(body).encode()) or int(until) < time.time():
            raise HttpError(401, "this token is not valid")
        return int(user)

    def _mark(self, body: str) -> str:
        return hmac.new(self._in_use.encode(), body.encode(), hashlib.sha256).hexdigest()
