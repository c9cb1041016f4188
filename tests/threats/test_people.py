"""People, or what pretends to be one: nothing changes a system without a person's word."""

from __future__ import annotations

from pathlib import Path

import pytest

from checks.journal import Event, open_journal
from tests.threats.shop import Shop, open_shop

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

    A tag on one cell holds its whole step back.
    """
    for arguments in (("run", "shop/burn", "-p", "confirm=shop", "-p", "yes=true"), ("run", "--due"), ("publish",)):
        ended = shop.call(*arguments)
        assert ended.code == 0, ended.said
    with open_journal(shop.project.catalogue.settings.journal) as journal:
        runs = journal.runs()
    assert [(run.state.value, run.status.value) for run in runs] == [("finished", "ok")] * 3
    assert {run.trigger.value for run in runs} == {"command", "schedule", "publish"}
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
