"""People, or what pretends to be one: nothing changes a system without a person's word."""

from __future__ import annotations

import os
import pwd
import subprocess
from pathlib import Path

import pytest

from checks.journal import Event, open_journal
from tests.respond.terminal import Terminal
from tests.threats.shop import PROOFBOOK, Shop, open_shop

BURN = """\
## Look

```python
from checks import check
check("error-rate", 0.4)
```

## Burn it down

**Undo:** buy flour.

```bash
rm "$FOLDER/flour"
```

```bash tags=["destructive"]
rm "$FOLDER/flour"
```

## Restart

```python tags=["change"]
import os
os.remove(os.environ["FOLDER"] + "/flour")
```
"""


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    """A shop whose runbook destroys something every minute, if it were let."""
    shop = open_shop(tmp_path / "site")
    shop.project.write(
        BURN,
        "burn",
        'schedule: {cron: "* * * * *"}\n'
        'parameters:\n  confirm: {type: string, default: "no"}\n  yes: {type: boolean, default: true}\n',
    )
    return shop


def _events(shop: Shop) -> list[Event]:
    with open_journal(shop.project.catalogue.settings.journal) as journal:
        return list(journal.events())


def test_53_no_run_destroys(shop: Shop) -> None:
    """Asked for by name and by a parameter, by schedule, by rule or by publishing, a run executes what only reads.

    A tag on one cell holds its whole step back, and a slip of the pen in it the whole run.
    """
    for arguments in (("run", "shop/burn", "-p", "confirm=shop", "-p", "yes=true"), ("run", "--due"), ("publish",)):
        ended = shop.call(*arguments)
        assert ended.code == 0, ended.said
    with open_journal(shop.project.catalogue.settings.journal) as journal:
        runs = journal.runs()
    assert [(run.state.value, run.status.value) for run in runs] == [("finished", "ok")] * 3
    assert {run.trigger.value for run in runs} == {"command", "schedule", "publish"}
    shop.project.write(BURN.replace("destructive", "destructve"), "slip")
    ended, slipped = shop.run("shop/slip")
    assert (ended.code, "the tag `destructve` is not known" in slipped["slip"]["reason"]) == (3, True), ended.said
    assert (shop.root / "shop" / "flour").exists()


@pytest.mark.parametrize("more", [(), ("-p", "confirm=shop", "-p", "yes=true")])
def test_53_operating_from_a_pipe_is_refused_and_journaled(shop: Shop, more: tuple[str, ...]) -> None:
    """Without a person at a terminal nothing is walked, exit 77, and the journal says who was refused what."""
    ended = shop.call("operate", "shop/burn", *more)
    assert ended.code == 77
    assert (shop.root / "shop" / "flour").exists()
    (event,) = _events(shop)
    assert (event.kind, event.subject) == ("operate-refused", "shop/burn")
    assert event.detail["classes"] == ["change", "destructive", "read"]


@pytest.mark.parametrize("option", ["--yes", "--force", "--confirm=shop"])
def test_53_no_option_stands_for_a_persons_word(shop: Shop, option: str) -> None:
    """No option makes run or operate take a destructive step: there is none to give."""
    for command in ("run", "operate"):
        assert shop.call(command, "shop/burn", option).code == 64
    assert (shop.root / "shop" / "flour").exists()


def test_55_a_second_operator_is_told_who_holds_it(shop: Shop) -> None:
    """While one person walks a runbook another is refused, told who and since when; when the first is gone it is free."""
    asked = ("operate", "shop/burn", "--root", str(shop.root))
    with Terminal(*asked, variables=shop.project.variables) as first:
        first.expect("Run this step?")
        with Terminal(*asked, variables=shop.project.variables) as second:
            second.expect("somebody operates shop/burn in ")
            second.expect(f"found: {pwd.getpwuid(os.getuid()).pw_name} on ")
            assert second.end() == 75
        first.process.kill()
        first.process.wait()
    (refused,) = [event for event in _events(shop) if event.kind == "operate-refused"]
    assert "since" in str(refused.detail["held_by"])
    with Terminal(*asked, variables=shop.project.variables) as third:
        third.answer("Run this step?", "stop")
        third.end()
    with open_journal(shop.project.catalogue.settings.journal) as journal:
        assert [run.state.value for run in journal.runs()] == ["cancelled", "lost"]


def _signing(shop: Shop, *words: str, terminal: bool = True, **variables: str) -> tuple[int, str]:
    """Sign the shop's only item; the exit status and what was said."""
    command = [str(PROOFBOOK), "checklist", "sign", *words, "--root", str(shop.root)]
    own, theirs = os.openpty()
    try:
        stdin = theirs if terminal else subprocess.DEVNULL
        ended = subprocess.run(
            command, stdin=stdin, capture_output=True, text=True, env={**shop.surroundings, **variables}, timeout=60, check=False
        )
    finally:
        os.close(own)
        os.close(theirs)
    return ended.returncode, ended.stderr


def test_56_a_word_is_ones_own_and_does_not_outlive_its_time(shop: Shop) -> None:
    """In another's name, from a pipe, for too long, or against evidence: refused and journaled; variables rename nobody."""
    page = shop.root / "docs" / "systems" / "shop" / "checklist.md"
    page.write_text(
        '# Checklist\n\n- {{ by_hand("shop/shelves", lasts="7d") }} They are full\n- {{ tick("shop/error-rate") }} Few errors\n'
    )
    refused = {
        "nobody signs in another's name": _signing(shop, "shop", "shelves", "--as", "the-boss"),
        "needs a person at a terminal": _signing(shop, "shop", "shelves", terminal=False),
        "does not hold so long": _signing(shop, "shop", "shelves", "--for", "8d"),
        "evidence speaks against it": _signing(shop, "shop", "error-rate"),
    }
    for why, (code, said) in refused.items():
        assert (code, why in said) == (77, True), said
    kinds = [event.kind for event in _events(shop)]
    assert (kinds.count("checklist-refused"), kinds.count("checklist-signed")) == (4, 0)
    code, said = _signing(shop, "shop", "shelves", "--for", "1d", LOGNAME="the-boss", USER="the-boss", USERNAME="the-boss")
    assert code == 0, said
    (signed,) = [event for event in _events(shop) if event.kind == "checklist-signed"]
    assert signed.actor == pwd.getpwuid(os.getuid()).pw_name
