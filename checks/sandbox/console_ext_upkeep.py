"""What Console.ext keeps beside its rows: secrets, configuration and its backups, its status page, and what fills its disk."""

from __future__ import annotations

import gzip
import json
import os
import secrets
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from checks.sandbox.kit import Faults, read_json, utc_text, write_json

ALLOTTED_DISK = 256_000_000
"""Bytes that the service's volume is given."""
SECRETS = ("admin-token", "pager-key", "receiver-token")
_DUMP = 224_000_000  # bytes of the core dump that the fault `disk` leaves
_KEPT = 5
_DAYS_REPLAYED = (3, 2, 1)


class Secrets:
    """A store of secrets: one file each, for the service alone.

    Args:
        folder: the store.

    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def fill(self) -> None:
        """Make what is missing, and let nobody else read."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name in SECRETS:
            path = self.folder / name
            if not path.exists():
                path.touch(mode=0o600)
                path.write_text(secrets.token_urlsafe(24), encoding="utf-8")
            if path.stat().st_mode & 0o077:
                path.chmod(0o600)

    def read(self, name: str) -> str:
        """One secret."""
        return (self.folder / name).read_text(encoding="utf-8")

    def spill(self) -> None:
        """Lose one secret, and let everybody read another."""
        (self.folder / "receiver-token").unlink(missing_ok=True)
        (self.folder / "pager-key").chmod(0o644)


class Configuration:
    """The state of the infrastructure and the settings, as files that are backed up.

    Args:
        folder: where the files are.
        backups: where their archives are kept.
        faults: ``config-backup`` loses the archives of the last day, ``backups`` cuts each new one off.

    """

    def __init__(self, folder: Path, backups: Path, faults: Faults) -> None:
        self._folder = folder
        self._backups = backups
        self._faults = faults
        backups.mkdir(parents=True, exist_ok=True)

    def write(self, infrastructure: list[dict[str, object]], environment: dict[str, object]) -> None:
        """Write both files where something changed; the state in the form that Terraform gives it."""
        path = self._folder / "infrastructure.json"
        known = read_json(path)
        if known.get("resources") != infrastructure:
            told = {"version": 4, "serial": int(known.get("serial", 0)) + 1, "resources": infrastructure}
            write_json(path, told)
        if read_json(self._folder / "environment.json") != environment:
            write_json(self._folder / "environment.json", environment)

    def back_up(self) -> None:
        """Pack both files into archives; the days before the first start are filled once, each archive dated to its day."""
        now = datetime.now(UTC)
        for name in ("infrastructure", "environment"):
            archives = sorted(self._backups.glob(f"{name}-*.json.gz"))
            if "config-backup" in self._faults:
                for path in archives:
                    if now.timestamp() - path.stat().st_mtime < 86_400 * 2:
                        path.unlink(missing_ok=True)
                continue
            if not archives:
                for days in _DAYS_REPLAYED:
                    self._pack(name, now - timedelta(days=days))
            if "backups-stopped" not in self._faults:
                self._pack(name, now)
            recent = sorted(self._backups.glob(f"{name}-*.json.gz"))
            for old in recent[len(_DAYS_REPLAYED) : -_KEPT]:
                old.unlink(missing_ok=True)

    def _pack(self, name: str, at: datetime) -> None:
        packed = gzip.compress((self._folder / f"{name}.json").read_bytes())
        path = self._backups / f"{name}-{at:%Y%m%dT%H%M%SZ}.json.gz"
        path.write_bytes(packed[:20] if "backups" in self._faults else packed)
        os.utime(path, (at.timestamp(), at.timestamp()))


class StatusPage:
    """What customers are shown of how it goes, written again and again from the service's own figures.

    Args:
        path: the page's file.
        faults: ``status-page`` lets it stand still.
        state: says how it goes, in a word.

    """

    def __init__(self, path: Path, faults: Faults, state: Callable[[], str]) -> None:
        self._path = path
        self._faults = faults
        self._state = state

    def write(self) -> None:
        """Write it."""
        if "status-page" not in self._faults:
            write_json(self._path, {"updated_at": utc_text(datetime.now(UTC)), "state": self._state()})

    def read(self) -> dict[str, object]:
        """The page, and how many seconds ago it was written."""
        told = read_json(self._path)
        return {**told, "age_s": round(time.time() - self._path.stat().st_mtime, 3)} if told else {}


class Volume:
    """The folder that the service's files lie in, and how full it is.

    Args:
        folder: all of it counts.
        faults: ``disk`` leaves a core dump there, ``leftovers`` half a backup of long ago.

    """

    def __init__(self, folder: Path, faults: Faults) -> None:
        self._folder = folder
        self._faults = faults
        self._dump = folder / "core.dump"
        self._half = folder / "backups" / "daily" / ".console-ext-left-over.sql.gz.part"
        self.used = 0

    def look(self) -> None:
        """Leave or clear away what a fault leaves, and add up what all files take."""
        if ("disk" in self._faults) != self._dump.exists():
            if "disk" in self._faults:
                with self._dump.open("wb") as dump:
                    os.posix_fallocate(dump.fileno(), 0, _DUMP)
            else:
                self._dump.unlink()
        if "leftovers" in self._faults and not self._half.exists():
            self._half.write_bytes(b"half")
            at = (datetime.now(UTC) - timedelta(days=40)).timestamp()
            os.utime(self._half, (at, at))
        elif "leftovers" not in self._faults:
            self._half.unlink(missing_ok=True)
        self.used = sum(_taken(path) for path in self._folder.rglob("*"))

    def figures(self) -> dict[str, object]:
        """How much of what it is given the service has filled."""
        return {
            "used_percent": round(100 * self.used / ALLOTTED_DISK, 3),
            "used_bytes": self.used,
            "allotted_bytes": ALLOTTED_DISK,
        }


def _taken(path: Path) -> int:
    try:
        return path.lstat().st_blocks * 512
    except OSError:
        return 0  # it was a draft, and has become what it was a draft of


def settings(**told: object) -> dict[str, object]:
    """The settings as they are backed up: everything that is needed to start again, and of secrets only their names."""
    return json.loads(json.dumps({**told, "secrets": list(SECRETS)}))  # type: ignore[no-any-return]
