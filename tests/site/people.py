"""The small project with what people answer for: severities, planned work, a signed checklist, an incident, reports."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

from checks.catalogue import Catalogue, load
from checks.journal import Journal
from checks.journal.duties import ACKNOWLEDGED, NOTED, OPENED, SIGNED, SignOff, detail_of
from tests.site.project import PAGES, SYSTEM, small_project

NAME = "2024-11-12-nobody-gets-bread"
SEVERITIES = """\
severities:
  P1: {title: Nobody gets bread, acknowledge: 15m, resolve: 4h}
  P2: {title: Some get no bread}
maintenance:
  - {title: The oven is swept, cron: "0 3 * * 0", for: 30m, note: No bread meanwhile.}
  - {title: A new till, starts: "2024-11-14T10:00:00Z", for: 2h}
"""
INCIDENT = """\
---
title: Nobody gets <b>bread</b>
system: shop
severity: P1
opened: 2024-11-12T09:30:00Z
acknowledged: 2024-11-12T09:50:00Z
runbook: shop/clear-cache
status: acknowledged
---

# Nobody gets bread

{{ incident("2024-11-12-nobody-gets-bread") }}
"""
PEOPLE = {
    "docs__systems__shop__checklist": PAGES["docs/systems/shop/checklist.md"].replace(
        "by_hand()", 'by_hand("shop/bread", lasts="7d")'
    )
    + '- {{ by_hand("shop/oven", lasts="30d") }} The oven is [clean](index.md)\n  and **cold**\n- {{ by_hand() }} You smiled\n',
    "docs__systems__shop__faq": '# FAQ\n\n## Is there bread?\n\n{{ holds("shop/error-rate") }} Yes.\n',
    "docs__systems__shop__report": '# Report\n\n{{ report("shop", "daily") }}\n\n{{ report("shop", "weekly") }}\n',
    "docs__systems__shop__after": (
        '# More\n\n{{ checklist("shop") }}\n\n{{ incidents("shop") }}\n\n{{ maintenance("shop") }}\n\n{{ severities("shop") }}\n'
    ),
    "docs__calendar": "# Calendar\n\n{{ due() }}\n\n{{ calendar(14) }}\n",
    "docs__reports__weekly": '# Weekly\n\n{{ reports("weekly") }}\n',
    "docs__incidents__index": "# Incidents\n\n{{ incidents() }}\n",
    f"docs__incidents__{NAME}": INCIDENT,
}


def with_people(root: Path, **changed: str) -> Catalogue:
    """Write the project below `root`, and load it; `changed` as `small_project` takes it."""
    small_project(root, **{**PEOPLE, **changed})
    (root / "docs/systems/shop/system.yml").write_text(SYSTEM + SEVERITIES, encoding="utf-8")
    return load(root)


def told(catalogue: Catalogue, journal: Journal, now: datetime, until: timedelta = timedelta(days=3)) -> None:
    """Journal what people said of the incident, and a word on the bread that holds `until` then."""
    item = catalogue.item("shop/bread")
    word = SignOff(item.slug, "baker", now - timedelta(hours=1), now + until, item.digest, "smelled it")
    journal.record_event(SIGNED, word.at, word.item, word.actor, detail_of(word, "staging", item.text))
    subject = f"incident/{NAME}"
    begun = datetime.fromisoformat("2024-11-12T09:30:00+00:00")
    journal.record_event(OPENED, begun, subject, "baker", {"note": "Customers left"})
    journal.record_event(ACKNOWLEDGED, begun + timedelta(minutes=20), subject, "miller", {"note": ""})
    journal.record_event(NOTED, begun + timedelta(minutes=30), subject, "miller", {"note": "<script>flour()</script> is out"})
