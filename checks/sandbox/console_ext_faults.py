"""Console.ext's faults: what each of them really does, and what is done once when one comes and when it goes."""

from __future__ import annotations

import subprocess
import threading
from pathlib import Path

from checks.sandbox.console_ext_logs import CorrelatedLog
from checks.sandbox.console_ext_repository import Releases
from checks.sandbox.console_ext_store import Ledger
from checks.sandbox.console_ext_upkeep import Secrets
from checks.sandbox.kit import Faults

FAULTS = {
    "errors": "Every second notification that is posted makes the renderer raise; the API answers 500.",
    "slow": "Every second request waits 0.9 s longer before it is answered.",
    "delivery": "The receiver refuses every delivery with status 503; notifications fail after three attempts.",
    "database": "The database's file is gone, until it is healed or a restored one takes its place.",
    "backups": "The backup volume is full: every full backup and segment is cut off after a few bytes.",
    "backups-stopped": "No backup and no segment is made any more; shows when the newest is 15 minutes old.",
    "brute-force": "Someone tries passwords for one account, several a second, until the guard locks it.",
    "debug-logging": "The log level is DEBUG, and such lines are written.",
    "rate-limit": "One customer posts far more than its limit allows; the rest is refused with 429.",
    "correlation": "The worker gives each delivery an id of its own instead of the request's.",
    "release": "A new version is tagged and pushed, without changelog entry and without deployment.",
    # The machines
    "backend": "The second backend is gone; the balancer hands everything to the first.",
    "network": "The line between balancer and backends holds each message for 0.15 s.",
    "chatter": "Each accepted notification is answered with 400 kB of debugging text.",
    "disk": "A core dump of 224 MB lies on the service's volume.",
    "connections": "Connections to the database are opened and forgotten, until nearly none is left.",
    "queries": "A report without a condition runs beside every seventh look-up, which waits for it.",
    "index": "The index that finds what was settled of late is dropped, so that every row is read instead.",
    "peak": "Forty requests more a second arrive, and no backend is added for them.",
    # Its use
    "standstill": "Seven requests of ten are not sent any more, and nobody signs up.",
    "silence": "One customer sends nothing any more, as one whose key was revoked would.",
    "signups": "The form for signing up refuses everybody.",
    "churn": "Every second account does not come back.",
    "dashboard": "The dashboard's page is not there; whoever opens it gets 404.",
    "feedback": "The form for feedback refuses every text.",
    "limiter-off": "The rate limit lets everything through, and one customer posts twelve times a second.",
    # Who is told
    "alerts": "Pager and chat refuse alerts, and the mailbox refuses mail.",
    "status-page": "The status page is not written any more.",
    "tracker": "An issue of nine days ago has no answer.",
    # What is kept
    "config-backup": "The archives of state and settings of the last days are lost, and none is made.",
    "secrets": "One secret is missing from the store, and everybody may read another.",
    "leftovers": "A branch that was merged long ago and half a backup of 40 days ago lie about.",
    # Code and what it depends on
    "advisories": "Three advisories for pinned packages are public: critical for 30 h, high for 80 h, medium for 10 days.",
    "scan": "CI stands still since eight days, and the index doesn't know one of the packages.",
    "develop": "A tangled function, with a failing test and a wrong example, lies on develop for nine days.",
    "branches": "A branch bears nobody's pattern, and main has a fix that develop lacks.",
    "shortcut": "A patch takes an operation away: unapproved, straight on main, never on staging.",
    "tags": "A clean-up deletes every tag of the last 150 days from the clone.",
}


class Following:
    """Does what switching a fault on or off does once.

    Args:
        marker: where it is kept what was followed, so that what came or went while the stand-in was down is followed too.
        faults: those that are on.
        ledger: comes and goes with its faults; `changing` is held meanwhile.
        lines: told what fails.
        secrets: spilled and filled again.
        releases: what is tagged, pushed and deployed.

    """

    def __init__(
        self,
        marker: Path,
        faults: Faults,
        ledger: Ledger,
        changing: threading.Lock,
        lines: CorrelatedLog,
        secrets: Secrets,
        releases: Releases,
    ) -> None:
        self._marker, self._faults, self._ledger, self._changing = marker, faults, ledger, changing
        self._lines, self._secrets, self._releases = lines, secrets, releases
        self._before = frozenset(self._marker.read_text(encoding="utf-8").split()) if self._marker.exists() else frozenset[str]()
        self._looking = threading.Lock()

    def look(self) -> None:
        """Follow what changed since the last look."""
        with self._looking:
            self._look()

    def _look(self) -> None:
        ledger = self._ledger
        with self._changing:
            on = self._faults.on()
            if "database" in on:
                ledger.take_away()
            else:
                ledger.give_back()
        self._lines.debugging = "debug-logging" in on
        ledger.dragging = "queries" in on
        self._secrets.spill() if "secrets" in on else self._secrets.fill()
        if "database" not in on:
            ledger.leak(on="connections" in on)
        self._once("index", on, lambda: ledger.set_index(there=False), lambda: ledger.set_index(there=True))
        self._follow_releases(on)

    def _follow_releases(self, on: frozenset[str]) -> None:
        releases = self._releases
        if "release" in on and "release" not in self._before and not releases.unfinished():
            releases.tag_without_release()
        if "release" in self._before - on and releases.unfinished():
            releases.finish()
        self._remember("release", on)
        self._once("shortcut", on, releases.cut_short, releases.make_good)
        self._once("develop", on, releases.push_trouble, releases.take_trouble_back)
        self._once("branches", on, releases.stray, releases.bring_back)
        self._once("leftovers", on, releases.leave_over, releases.clear_away)
        self._once("tags", on, releases.lose_tags, lambda: releases.git("fetch", "--quiet", "--tags", "origin"))

    def _once(self, fault: str, on: frozenset[str], came: object, went: object) -> None:
        if (fault in on) == (fault in self._before):
            return
        try:
            (came if fault in on else went)()  # type: ignore[operator]
        except subprocess.CalledProcessError as error:
            self._lines.error(f"git failed: {error.stderr}", event="failure")
        self._remember(fault, on)

    def _remember(self, fault: str, on: frozenset[str]) -> None:
        after = self._before | {fault} if fault in on else self._before - {fault}
        if after != self._before:
            self._before = after
            self._marker.write_text(" ".join(sorted(after)), encoding="utf-8")
