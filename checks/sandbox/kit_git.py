"""A real git repository: a bare origin and a clone of it, as a stand-in's source code."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path


class Repository:
    """A bare repository ``origin.git`` and a clone ``clone`` of it in one folder, on branch ``main``.

    Args:
        folder: where both are kept; created with a first commit where it does not exist.
        files: what the first commit holds: path and text of each file.
        author: who commits.

    """

    def __init__(self, folder: Path, files: Mapping[str, str], *, author: str = "Sandbox <sandbox@localhost>") -> None:
        self.origin = folder / "origin.git"
        self.clone = folder / "clone"
        name, _, address = author.partition(" <")
        self._environment = {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(folder),
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_CONFIG_NOSYSTEM": "1",
            **{f"GIT_{role}_NAME": name for role in ("AUTHOR", "COMMITTER")},
            **{f"GIT_{role}_EMAIL": address.rstrip(">") for role in ("AUTHOR", "COMMITTER")},
        }
        if not (self.clone / ".git").exists():
            folder.mkdir(parents=True, exist_ok=True)
            self._run("git", "init", "--quiet", "--bare", "--initial-branch=main", str(self.origin), cwd=folder)
            self._run("git", "init", "--quiet", "--initial-branch=main", str(self.clone), cwd=folder)
            self.git("remote", "add", "origin", str(self.origin))
            self.commit("First commit", files)
            self.git("branch", "--quiet", "--set-upstream-to=origin/main", "main")

    def git(self, *arguments: str) -> str:
        """Run git in the clone and return its standard output, stripped.

        Raises:
            subprocess.CalledProcessError: git failed; its ``stderr`` says why.

        """
        return self._run("git", *arguments, cwd=self.clone)

    def commit(self, message: str, files: Mapping[str, str | None], *, at: datetime | None = None, push: bool = True) -> str:
        """Write files (``None`` removes one), commit them on ``main``, push unless told not to; the commit's id.

        Args:
            message: what the log will say.
            files: path and new text of each file.
            push: whether the origin gets the commit too.
            at: author's and committer's date; now, where not given.

        """
        for path, text in files.items():
            target = self.clone / path
            if text is None:
                target.unlink(missing_ok=True)
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, encoding="utf-8")
        moment = (at or datetime.now(UTC)).isoformat()
        self.git("add", "--all")
        dates = {"GIT_AUTHOR_DATE": moment, "GIT_COMMITTER_DATE": moment}
        self._run("git", "commit", "--quiet", "--allow-empty", "-m", message, cwd=self.clone, more=dates)
        if push:
            self.git("push", "--quiet", "origin", "main")
        return self.git("rev-parse", "HEAD")

    def _run(self, *command: str, cwd: Path, more: Mapping[str, str] | None = None) -> str:
        environment = {**self._environment, **(more or {})}
        done = subprocess.run(command, cwd=cwd, env=environment, check=True, capture_output=True, text=True, timeout=30)
        return done.stdout.strip()
