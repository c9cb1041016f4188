"""What goes wrong with the wellbeing stand-in on command, and what its users ask of it."""

from __future__ import annotations

import random
import zlib

from checks.sandbox.kit import Call, Faults
from checks.sandbox.wellbeing_rows import USERS

BUSY_USERS = 20  # most insights are asked for by few

FAULTS = {
    "errors": "The insights engine is gone: nine of ten answers to users are 502.",
    "slow": "One request in four waits 2.4 s for a lock.",
    "backups": "The backup disk is full: each dump breaks off after 64 kB and cannot be restored.",
    "no-backups": "The backup job does nothing any more; the dumps that exist grow old.",
    "cache": "Each cached value expires at once, so every insight is computed again.",
    "logins": "One address tries passwords, about three times a second.",
    "pool": "One query in four never gives its database connection back; soon none is free.",
    "log": "The reminder job fails every second and writes an error line each time.",
    "api": "Every answer is 503, health and metrics included.",
    "heavy": "Every answer to a user takes 0.3 s longer.",
    "bloat": "Every insight carries two megabytes of history that nobody asked for.",
    "leak": "The API keeps more memory each second, up to just below its limit.",
    "scan": "One address asks for the administrators' statistics, about three times a second, and is refused.",
    "proxy": "The proxy is gone: nothing listens on its port.",
    "certificate": "The proxy presents a certificate that has five days left and that nobody trusts.",
    "old-key": "A restored configuration brings back a SECRET_KEY of 90 days ago.",
    "accounts": "A clean-up job with a wrong date closes accounts, newest first, a hundred a second.",
    "reminders": "A migration switches reminders off, for three hundred people a second.",
    "traces": "Each focus session is stored with half a megabyte of trace.",
    "index": "A release looks sessions up in a way that their index does not help with.",
    "vulnerable": "A package with a known vulnerability is pinned on main.",
    "tests": "A change on main makes a test fail.",
    "secret": "An access key is committed to main.",
}


def next_call(chance: random.Random, faults: Faults) -> Call:
    """Mostly insights of few users; some sessions, notifications and logins."""
    user = chance.randint(1, BUSY_USERS) if chance.random() < 0.97 else chance.randint(1, USERS)
    kind = chance.random()
    if "logins" in faults and kind < 0.3:
        return Call(
            "POST", "/api/v1/login", {"user": user, "password": "guess"}, {"X-Forwarded-For": _attacker(faults, "logins")}
        )
    if "scan" in faults and kind < 0.3:
        return Call("GET", "/api/v1/admin/stats/daily", headers={"X-Forwarded-For": _attacker(faults, "scan")})
    if kind > 0.9998:
        return Call("POST", "/api/v1/users")
    if kind < 0.7:
        return Call("GET", f"/api/v1/insights/{user}")
    if kind < 0.8:
        return Call("GET", f"/api/v1/notifications/{user}")
    if kind < 0.9:
        return Call("POST", "/api/v1/focus-sessions", {"user": user, "minutes": chance.randint(5, 90)})
    address = f"2001:db8::{chance.getrandbits(16):x}:{chance.getrandbits(16):x}"
    password = "right" if chance.random() < 0.98 else "wrong"
    return Call("POST", "/api/v1/login", {"user": user, "password": password}, {"X-Forwarded-For": address})


def _attacker(faults: Faults, fault: str) -> str:
    """The attacker's address: another one each time that the fault is switched on, so blocking the last does not help."""
    return f"2001:db8:bad::{zlib.crc32(f'{fault} {faults.since().get(fault)}'.encode()) & 0xFFFF:x}"
