"""A small project to build in tests: one system with three metrics, one check and one procedure."""

from __future__ import annotations

from pathlib import Path

MKDOCS = """\
site_name: Corner shop
theme:
  name: material
plugins:
  - search
  - offline
  - macros
  - proofbook: {environment: staging, timezone: UTC}
"""
SYSTEM = """\
system: shop
title: Corner shop
summary: Sells bread on the corner.
owner: The baker
contacts:
  - {role: Primary on call, reach: baker@shop.example}
  - {role: Escalation}
environments:
  staging: {base_url: "${SHOP_URL}"}
metrics:
  error-rate:
    title: Error rate
    unit: "%"
    group: Errors
    meaning: The share of requests that failed in the last minute.
    probe: {kind: http, url: "{base_url}/metrics", select: error_rate}
    warning: ">= 1 %"
    critical: "> 10 %"
    runbook: shop/morning
    fresh-for: 1h
  latency:
    title: Latency
    unit: ms
    group: Speed
    probe: {kind: http, url: "{base_url}/", measure: time}
    critical: "> 500 ms"
  backup-age:
    title: Newest backup
    unit: h
    group: Backups
    probe: {kind: notebook}
    critical: older than 26h
"""
MORNING = """\
---
title: Morning check
system: shop
kind: check
summary: What to look at before the shop opens.
schedule: {cron: "0 7 * * *", timezone: UTC}
fresh-for: 26h
parameters:
  hours: {type: integer, default: 24, minimum: 1, maximum: 72, help: How far to look back.}
source: [shop.morning, shop.errors]
---

# Morning check

Do this before you open. It holds `{{ a_template }}` and {% raw %} that must stay as they are.

## Errors stay low

The share of failed requests.

```python
from checks import check

check("error-rate")
```

## The newest backup is whole

```bash
echo '{{ .Names }}'
```

```python
check("latency")
check("backup-age", 4.0)
```
"""
CLEAR = """\
---
title: Empty the cache
system: shop
kind: procedure
summary: When the shelves show yesterday's bread.
---

## Look at the shelves

```python
from checks import check

check("latency")
```

## Ask the baker

<!-- #region tags=["manual"] -->
Ask whether the oven is on.
<!-- #endregion -->

## Restart the counter

```bash tags=["change"]
systemctl restart counter
```

## Throw everything away

It takes four minutes to bake again. Undo: none.

```bash tags=["destructive"]
rm -rf /var/cache/shop
```
"""
PAGES = {
    "docs/index.md": """\
---
title: Home
hide: [navigation, toc]
---

{{ answer() }}

{{ needs() }}

## Systems

{{ systems() }}
""",
    "docs/systems/shop/index.md": """\
# Corner shop

{{ status("shop") }} {{ strip("shop") }}

{{ needs("shop") }}

{{ metrics("shop") }}

## Errors only

{{ metrics("shop", "Errors") }}

The error rate is {{ value("shop/error-rate") }} {{ spark("shop/error-rate") }},
critical when {{ limit("shop/error-rate", "critical") }}.

## Runbooks

{{ runbooks("shop") }}

## Who answers

{{ contacts("shop") }}
""",
    "docs/systems/shop/checklist.md": """\
# Checklist

- {{ tick("shop/error-rate") }} Errors are low
- {{ tick("shop/backup-age") }} The backup is there
- {{ tick_run("shop/morning") }} The morning check went well
- {{ by_hand() }} The bread smells right
""",
}


def small_project(root: Path, **changed: str) -> Path:
    """Write the project below `root`.

    Args:
        root: the project's folder.
        changed: other texts than these, by path with ``__`` for ``/`` (``docs__index`` is ``docs/index.md``).

    """
    files = {
        "mkdocs.yml": MKDOCS,
        "docs/systems/shop/system.yml": SYSTEM,
        "notebooks/shop/morning.md": MORNING,
        "notebooks/shop/clear-cache.md": CLEAR,
        **PAGES,
        **{f"{name.replace('__', '/')}.md": text for name, text in changed.items()},
    }
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return root
