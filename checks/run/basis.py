"""What a run rests on beside its source: digests that tell whether a later run would rest on the same."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import platform
import secrets
import site
from collections.abc import Mapping
from contextlib import suppress
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from checks.run.context import ParameterValue, plain

if TYPE_CHECKING:
    from checks.catalogue import Settled
    from checks.model import System

SYSTEM = "system"
SETTINGS = "settings"
PACKAGES = "packages"
FILES = "files"
KEY_BYTES = 32
_METADATA = (".dist-info", ".egg-info")


def basis(system: System, settled: Settled, parameters: Mapping[str, ParameterValue], state: Path) -> dict[str, str]:
    """The digests of one run, by name.

    Args:
        system: the system as its ``system.yml`` says now: metrics, probes, limits.
        settled: the settings' values; as some are secrets, their digest is keyed and says nothing to who has the journal only.
        parameters: the run's parameters.
        state: the project's state folder, where the key is kept.

    """
    told = {"values": dict(settled.values), "missing": dict(settled.missing), "parameters": dict(parameters)}
    message = json.dumps(told, sort_keys=True).encode()
    return {
        SYSTEM: _digest_of(_ByIdentity(system)),
        SETTINGS: hmac.new(_key(state), message, hashlib.sha256).hexdigest(),
        PACKAGES: packages(),
    }


def packages() -> str:
    """The digest of this Python, of each installed distribution's name and version, and of Proofbook's own code."""
    return _digest_with(distributions())


def distributions() -> tuple[str, ...]:
    """The name and version of each distribution that is installed for this Python."""
    folders = [Path(folder) for folder in site.getsitepackages()]
    return _installed(tuple((folder, folder.stat().st_mtime_ns) for folder in folders if folder.is_dir()))


@lru_cache(maxsize=4)
def _installed(folders: tuple[tuple[Path, int], ...]) -> tuple[str, ...]:
    # A distribution's metadata lie in a folder named for it and its version; reading each of them takes fifty times as long.
    return tuple(sorted({path.stem for folder, _ in folders for path in folder.iterdir() if path.suffix in _METADATA}))


@lru_cache(maxsize=4)
def _digest_with(names: tuple[str, ...]) -> str:
    python = f"{platform.python_implementation()} {platform.python_version()}"
    return hashlib.sha256("\n".join([python, _own_code(), *names]).encode()).hexdigest()


@cache
def _own_code() -> str:
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parents[1].rglob("*.py")):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


class _ByIdentity:
    """A system as a key of a cache: one catalogue has the same object for all of its runbooks."""

    def __init__(self, system: System) -> None:
        self.system = system

    def __hash__(self) -> int:
        return id(self.system)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _ByIdentity) and other.system is self.system


@lru_cache(maxsize=64)
def _digest_of(key: _ByIdentity) -> str:
    return hashlib.sha256(json.dumps(key.system, default=plain, sort_keys=True).encode()).hexdigest()


def _key(state: Path) -> bytes:
    """This project's key on this machine; where none can be kept, one that nobody will have again."""
    path = state / "key"
    with suppress(OSError):
        if len(found := path.read_bytes()) == KEY_BYTES:
            return found
    made = secrets.token_bytes(KEY_BYTES)
    with suppress(OSError):
        state.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f".key-{os.getpid()}-{secrets.token_hex(4)}")
        try:
            with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(made)
            # Of two processes that make one at once, the first one's stays.
            os.link(part, path)
        except FileExistsError:
            return path.read_bytes()
        finally:
            part.unlink(missing_ok=True)
    return made
