"""The MASE plugin's folder as files on disk: releases that are really installed, and archives really made of them."""

from __future__ import annotations

import json
import re
import shutil
import tarfile
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

GOOD_RELEASE = "2.5.0"
BAD_RELEASE = "2.5.1"
LOCALES = ("en", "fr", "de")
TEMPLATES = {
    "default": {"primary": "#2271b1", "background": "#f0f0f1"},
    "midnight": {"primary": "#7aa2f7", "background": "#1a1b26"},
    "forest": {"primary": "#2f6f4e", "background": "#eef5ef"},
}
_STRINGS = {
    "en": {"save": "Save changes", "preview": "Preview"},
    "fr": {"save": "Enregistrer", "preview": "Aperçu"},
    "de": {"save": "Speichern", "preview": "Vorschau"},
}
_VERSION = re.compile(rb"^ \* Version:\s*(\S+)", re.MULTILINE)
_KEPT = 10


class PluginMissing(Exception):
    """The folder lacks a file that the plugin cannot start without."""


def files_of(release: str) -> dict[str, str]:
    """The files of a release, path and text; those of the bad one are what its name says."""
    strings = {locale: json.dumps(_STRINGS[locale], ensure_ascii=False) for locale in LOCALES}
    files = {
        "mase.php": f"<?php\n/**\n * Plugin Name: MASE\n * Version: {release}\n */\n",
        "includes/templates.json": json.dumps(TEMPLATES, indent=2),
        "assets/admin.js": "window.mase = JSON.parse(document.getElementById('mase-config').textContent);\n",
        **{f"languages/{locale}.json": text for locale, text in strings.items()},
    }
    if release == BAD_RELEASE:
        files["languages/de.json"] = strings["de"][:-9]
        files["includes/engine-next.php"] = "<?php // the preview engine of the next release\n"
    return files


class Plugin:
    """What is installed in ``wp-content/plugins/mase``, and the archives beside it.

    Args:
        folder: the plugin's folder.
        backups: where archives ``mase-backup-<time>.tar.gz`` are kept.

    """

    def __init__(self, folder: Path, backups: Path) -> None:
        self.folder = folder
        self.backups = backups

    def install(self, release: str) -> None:
        """Write a release's files over those of the one before, as an upgrade does.

        The bad release has German strings that are cut off, and a file that the good one does not have.
        """
        files = files_of(release)
        for name, text in files.items():
            target = self.folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, encoding="utf-8")
        if release != BAD_RELEASE:
            (self.folder / "includes" / "engine-next.php").unlink(missing_ok=True)

    def version(self) -> str:
        """The installed release.

        Raises:
            PluginMissing: the plugin's main file is not there or names no release.

        """
        try:
            match = _VERSION.search((self.folder / "mase.php").read_bytes())
        except OSError as error:
            raise PluginMissing("wp-content/plugins/mase/mase.php") from error
        if not match:
            raise PluginMissing("wp-content/plugins/mase/mase.php names no release")
        return match.group(1).decode()

    def strings(self, locale: str) -> str:
        """A language's strings as the page embeds them: the file's text, unread.

        Raises:
            PluginMissing: the file is not there.

        """
        try:
            return (self.folder / "languages" / f"{locale}.json").read_text(encoding="utf-8")
        except OSError as error:
            raise PluginMissing(f"wp-content/plugins/mase/languages/{locale}.json") from error

    def templates(self) -> dict[str, dict[str, str]]:
        """The colour templates by name.

        Raises:
            PluginMissing: their file is not there or is no JSON.

        """
        try:
            found: dict[str, dict[str, str]] = json.loads((self.folder / "includes" / "templates.json").read_bytes())
        except (OSError, ValueError) as error:
            raise PluginMissing("wp-content/plugins/mase/includes/templates.json") from error
        return found

    def archive(self, *, cut_off: bool = False) -> Path:
        """Pack the folder into a new archive, and remove old ones; the newest of each release stays.

        Args:
            cut_off: keep only the first half of the bytes, as when the disk is full.

        """
        self.backups.mkdir(parents=True, exist_ok=True)
        packed = BytesIO()
        with tarfile.open(fileobj=packed, mode="w:gz") as archive:
            archive.add(self.folder, arcname="mase")
        data = packed.getvalue()
        target = self.backups / f"mase-backup-{datetime.now(UTC):%Y%m%d-%H%M%S}.tar.gz"
        draft = target.with_name(f".{target.name}.part")
        draft.write_bytes(data[: len(data) // 2] if cut_off else data)
        draft.replace(target)
        self._prune()
        return target

    def archives(self) -> list[Path]:
        """The archives, newest first."""
        return sorted(self.backups.glob("mase-backup-*.tar.gz"), reverse=True)

    def _prune(self) -> None:
        releases: set[str] = set()
        for position, path in enumerate(self.archives()):
            release = release_in(path)
            first_of_its_kind = release is not None and release not in releases
            releases.add(release or "")
            if position >= _KEPT and not first_of_its_kind:
                path.unlink(missing_ok=True)

    def remove(self) -> None:
        """Remove the folder, as a failed upgrade does."""
        shutil.rmtree(self.folder, ignore_errors=True)


def release_in(archive: Path) -> str | None:
    """The release that an archive holds; ``None`` where it cannot be read whole."""
    try:
        with tarfile.open(archive, "r:gz") as opened:
            text = b""
            for member in opened:
                content = opened.extractfile(member)
                data = content.read() if content else b""
                text = data if member.name == "mase/mase.php" else text
    except (OSError, EOFError, tarfile.TarError):
        return None
    match = _VERSION.search(text)
    return match.group(1).decode() if match else None
