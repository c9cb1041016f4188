"""A secret that everything tries to tell: it is found in no file and on no stream."""

from __future__ import annotations

import base64
import json
import re
import stat
import urllib.parse
from dataclasses import dataclass
from pathlib import Path

import pytest

from checks.journal import open_journal
from tests.threats.shop import Shop, files_below, open_shop

pytestmark = pytest.mark.slow

TOKEN = 'correct "horse"/battery+staple&clip'
SYSTEM_MORE = """\
  away:
    title: Away
    probe: {kind: http, url: "{away}/metrics?token={token}", select: a, headers: {Authorization: "Bearer {token}"}}
    critical: "> 1"
  program:
    title: Program
    probe: {kind: command, argv: [sh, -c, "echo $0 >&2; echo $0; exit 3", "{token}"], take: number}
    critical: "> 1"
  said:
    title: Said
    probe: {kind: command, argv: [echo, "{token}"], take: number}
    critical: "> 1"
  lost:
    title: Lost
    unit: h
    probe: {kind: file, path: "{folder}/{token}/*.gz", measure: age}
    critical: older than 1h
  database:
    title: Database
    probe: {kind: sql, database: "{dsn}", query: "select 1"}
    critical: "> 1"
"""
TELLS = """\
## Tell

```python
import base64, html, json, os, sys, urllib.parse
from checks import check
token = os.environ["TOKEN"]
print(token, repr(token), json.dumps(token), html.escape(token))
print(urllib.parse.quote(token), urllib.parse.quote(token, safe=""), urllib.parse.quote_plus(token))
print(base64.b64encode(token.encode()).decode(), base64.urlsafe_b64encode(token.encode()).decode())
print(base64.b64encode(f"shop:{token}@db".encode()).decode(), base64.b64encode(f"a user:{token}".encode()).decode())
print("Authorization: Bearer " + token, "postgresql://shop:" + urllib.parse.quote(token, safe="") + "@db/shop")
for piece in (token[:9], token[9:]):
    sys.stdout.write(piece); sys.stdout.flush()
os.write(1, (token + "\\n").encode()); os.write(2, (token + "\\n").encode())
print("x" * 999_990 + token)
open(urllib.parse.quote(token, safe=""), "w").close()
for metric in ("away", "program", "said", "lost", "database"):
    check(metric)
check("error-rate", token)
{token: [token]}
```

```bash
echo "$TOKEN"; echo "$TOKEN" >&2; ls
```

```python
raise ValueError(f"login with {token} failed")
```
"""


def forms(secret: str) -> set[bytes]:
    """Every way in which the secret was told."""
    quoted = {urllib.parse.quote(secret), urllib.parse.quote(secret, safe=""), urllib.parse.quote_plus(secret)}
    packed = {
        base64.b64encode(secret.encode()).decode().rstrip("="),
        base64.urlsafe_b64encode(secret.encode()).decode().rstrip("="),
    }
    escaped = {secret, json.dumps(secret)[1:-1], repr(secret)[1:-1], "battery", "staple"}
    return {form.encode() for form in quoted | packed | escaped}


@dataclass(frozen=True, slots=True)
class Told:
    """The shop after everything that could tell the secret has been tried, and all that was said."""

    shop: Shop
    said: str


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Told:
    """Runs, checks, publishes and reads a shop whose token is told in every way that there is."""
    shop = open_shop(tmp_path_factory.mktemp("secret") / "site")
    path = shop.root / "docs/systems/shop/system.yml"
    settings = '    away: "http://user:${secret:SHOP_TOKEN}@127.0.0.1:1"\n    dsn: "postgresql://shop:${secret:SHOP_TOKEN}@127.0.0.1:1/shop"\n'
    path.write_text(path.read_text().replace('    token: "', f'{settings}    token: "') + SYSTEM_MORE)
    shop.project.variables["SHOP_TOKEN"] = TOKEN
    shop.project.write(TELLS, "tells")
    shop.project.write(
        "```python\nfrom checks import check\ncheck('error-rate', note)\n```\n",
        "echoes",
        "parameters:\n  note: {type: string, default: x}\n",
    )
    said = [
        shop.call("run", "shop/tells"),
        shop.call("run", "shop/echoes", "-p", f"note={TOKEN}", "--format", "json"),
        shop.call("check", "shop", "-v"),
        shop.call("publish", "--no-run"),
        shop.call("status", "--format", "json"),
    ]
    assert all(ended.code != 70 and "Traceback" not in ended.err for ended in said), [ended.err for ended in said]
    return Told(shop, "\n".join(ended.said for ended in said))


def test_60_a_secret_is_on_no_stream(told: Told) -> None:
    """No command prints a secret's value, in any form, in its answer, its talk or its errors."""
    assert "•••" in told.said
    assert [form for form in forms(TOKEN) if form in told.said.encode()] == []


def test_60_a_secret_is_in_no_file(told: Told) -> None:
    """No byte of journal, evidence, page, status.json, search index or file name holds a secret's value, in any form."""
    files = files_below(told.shop.root)
    assert {"journal.db", "status.json", "index.html"} <= {path.name for path in files}
    found = [(path, form) for path in files for form in forms(TOKEN) if form in path.read_bytes() or form in str(path).encode()]
    declared = {told.shop.root / "notebooks" / "shop" / "tells.md"}
    assert [entry for entry in found if entry[0] not in declared] == []


def test_60_a_secret_is_in_no_base64_of_a_longer_text(told: Told) -> None:
    """A secret in the middle of something that was packed, as in a Basic header, cannot be unpacked from any file."""
    kept = [path for path in files_below(told.shop.root) if path.suffix in (".ipynb", ".db", ".jsonl", ".html", ".json")]
    assert {".ipynb", ".db", ".html"} <= {path.suffix for path in kept}
    for path in kept:
        for word in set(re.findall(rb"[A-Za-z0-9+/_-]{24,4000}", path.read_bytes())):
            for start in range(4):
                part = word[start : start + (len(word) - start) // 4 * 4]
                assert TOKEN.encode() not in base64.b64decode(part, altchars=b"-_" if b"-" in part or b"_" in part else None), (
                    path
                )


def test_60_what_was_found_is_counted(told: Told) -> None:
    """A run says in how many places it held something back; one without a secret says none."""
    with open_journal(told.shop.project.catalogue.settings.journal) as journal:
        counted = {run.runbook: run.redacted for run in journal.runs()}
    assert counted["shop/echoes"] is not None
    assert (counted["shop/tells"] or 0) > 20


def test_60_what_is_kept_is_for_its_owner_only(told: Told) -> None:
    """The journal and every file of evidence can be read by their owner and nobody else."""
    state = told.shop.root / ".proofbook"
    kept = [*state.glob("journal.db*"), *files_below(state / "evidence")]
    assert len(kept) >= 3
    assert {stat.S_IMODE(path.stat().st_mode) for path in kept} == {0o600}


def test_60_a_crash_leaves_no_core(tmp_path: Path) -> None:
    """A kernel that crashes with the secret in its memory leaves no core file in the project or where the command was."""
    shop = open_shop(tmp_path / "site")
    shop.project.variables["SHOP_TOKEN"] = TOKEN
    slug = shop.project.write("```python\nimport ctypes\nctypes.string_at(0)\n```\n")
    ended, runs = shop.run(slug)
    assert (ended.code, runs["morning"]["state"]) == (3, "failed")
    assert not [path for path in files_below(tmp_path) if path.name.startswith("core")]
