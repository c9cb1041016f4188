"""The tutorial's commands, word for word, as a newcomer gives them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "handbook" / "tutorial.md"


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_tutorial_does_what_it_says(tmp_path: Path) -> None:
    """From nothing to a system of one's own: its check is unknown, then critical, then ok, and the site says so each time."""
    blocks = [
        body for _, body in re.findall(r"^(`{3,})bash\n(.*?)^\1$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    ]
    publishing = next(number for number, block in enumerate(blocks) if block == "proofbook publish\n")
    blocks.insert(publishing + 1, "cp public/current/status.json ../failed.json\n")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PROOFBOOK_", "OVEN_"))}
    environment["PATH"] = f"{Path(sys.executable).parent}:{environment['PATH']}"
    done = subprocess.run(
        ["bash", "-e", "-o", "pipefail", "-c", "\n".join(blocks)],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.findall(r"exit status (\d)", done.stdout) == ["3", "2"]
    assert "OVEN_LOG is not set" in done.stdout + done.stderr
    before = json.loads((tmp_path / "failed.json").read_text())["systems"]["bakery"]
    after = json.loads((tmp_path / "bakery-runbooks/public/current/status.json").read_text())["systems"]["bakery"]
    assert (before["status"], before["metrics"]["bakery/loaves"]["value"]) == ("critical", 1.0)
    assert (after["status"], after["metrics"]["bakery/loaves"]["value"]) == ("ok", 3.0)
    assert (tmp_path / "bakery-runbooks/public/current/systems/bakery/metrics/loaves.html").is_file()
