"""``check -v`` tells everything that happened on the way, and no secret."""

from __future__ import annotations

from pathlib import Path

import pytest

from checks.cli import main
from tests.run.project import Project

SYSTEM = """\
system: shop
title: Corner shop
summary: Sells bread on the corner.
environments:
  test:
    folder: "${SHOP_FOLDER}"
    token: "${secret:SHOP_TOKEN}"
metrics:
  flour:
    title: Flour left
    unit: kg
    probe: {kind: command, argv: [echo, "20 of {token}"], take: number}
    warning: "< 8 kg"
    critical: "< 5 kg"
  baker:
    title: Who bakes
    unit: text
    probe: {kind: command, argv: [cat, "{folder}/baker"], take: text}
    critical: "matches /nobody/"
  till:
    title: The till
    probe: {kind: command, argv: [cat, "{folder}/none"], take: number}
    critical: "> 9"
"""


def test_the_way_is_told_from_source_to_judgement(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each metric has its source, its steps with their times, what was measured, its limits and the reason, in that order."""
    project = Project(tmp_path)
    project.describe(SYSTEM)
    (tmp_path / "shop" / "baker").write_text("Ann\x1b[31m\n")
    monkeypatch.setenv("SHOP_FOLDER", str(tmp_path / "shop"))
    monkeypatch.setenv("SHOP_TOKEN", "s3cr3t-t0ken")
    monkeypatch.setattr("sys.argv", ["proofbook", "check", "shop", "-v", "--root", str(tmp_path)])
    with pytest.raises(SystemExit) as ended:
        main()
    told = capsys.readouterr().out
    assert ended.value.code == 3
    assert "s3cr3t-t0ken" not in told
    assert "\x1b" not in told
    table, flour, baker, till = told.split("\n\n")[:4]
    assert [line.split()[:3] for line in table.splitlines()[1:]] == [
        ["ok", "shop/flour", "20"], ["ok", "shop/baker", "Ann�[31m"], ["unknown", "shop/till", "-"],
    ]  # fmt: skip
    lines = flour.splitlines()
    assert lines[:2] == ["shop/flour", "      from  echo '20 of •••'"]
    assert [line.strip().split("  ", 1)[-1] for line in lines[2:4]] == [
        "started echo '20 of •••'",
        "echo ended with exit status 0, wrote 19 B",
    ]
    assert [line.split()[0] for line in lines[4:]] == ["measured", "warning", "critical", "ok"]
    assert lines[-1] == "        ok  20 kg breaks neither < 8 kg nor < 5 kg"
    assert "  the text  Ann�[31m" in baker
    assert "its last words: cat: " in till
    assert "  measured  nothing, in " in till
