"""A shop whose every text tries to act: the corpus in ``hostile.yml``, put wherever a text can stand."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any
from unittest import mock

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from ruamel.yaml import YAML

from checks.catalogue import Catalogue, load
from checks.journal import Journal, open_journal
from checks.journal.duties import ACKNOWLEDGED, NOTED, OPENED, SIGNED, SignOff, detail_of
from checks.judge import judge
from checks.model import Observation, Run, RunState, Status, Trigger, Unmeasured
from checks.respond import archive
from checks.site import archives, history, tables
from checks.site.publish import Published, publish
from tests.site.history import drawn, keep_evidence, png

NOW = datetime(2024, 11, 12, 10, 42, 10, tzinfo=UTC)
MOST_OF_A_TEXT = 20_000
SHORT = ((tables, "IN_A_TABLE", 1), (tables, "ON_A_PAGE", 9), (archives, "METRICS_ON_A_PAGE", 9), (history, "RUNS_SHOWN", 1))
"""Bounds of tables that make a small shop have every page that a large one has."""

_UNBUILT = ("](x", "no-such-kind")
"""An author's link to no page, or place for no figure: the build is refused, and says where."""

_HALVES = re.compile("[\ud800-\udfff]")

MKDOCS = """\
site_name: Shop
site_url: https://shop.example/ops/
theme: {name: material}
plugins:
  - search
  - offline
  - macros
  - proofbook: {environment: test}
"""
PAGES = {
    "index": "---\ntitle: Home\n---\n\n{{ answer() }}\n\n{{ needs() }}\n\n{{ systems() }}\n\n{{ due() }}\n",
    "calendar": "# Calendar\n\n{{ calendar(14) }}\n",
    "reports/weekly": '# Weekly\n\n{{ reports("weekly") }}\n',
    "incidents/index": "# Incidents\n\n{{ incidents() }}\n",
    "systems/shop/index": (
        '# Shop\n\n{{ status("shop") }} {{ strip("shop") }}\n\n{{ needs("shop") }}\n\n{{ metrics("shop") }}\n\n'
        '{{ runbooks("shop") }}\n\n{{ contacts("shop") }}\n\n{{ maintenance("shop") }}\n\n{{ decisions("shop") }}\n\n'
        '{{ severities("shop") }}\n\n'
        '{{ value("shop/m-0") }} {{ spark("shop/m-0") }} {{ tick("shop/m-1") }} {{ tick_run("shop/book-0") }}\n\n'
        '{{ runs("shop/book-0") }}\n\n{{ checklist("shop") }}\n\n{{ incidents("shop") }}\n'
    ),
    "systems/shop/faq": '# FAQ\n\n## Is there bread?\n\n{{ holds("shop/m-0") }} Yes.\n',
    "systems/shop/report": '# Report\n\n{{ report("shop", "daily") }}\n\n{{ report("shop", "weekly") }}\n',
}


@cache
def corpus() -> Mapping[str, tuple[str, ...]]:
    """The texts of each kind, a word of its own in each: ``mark`` and its number."""
    read: dict[str, list[str]] = YAML(typ="safe", pure=True).load(Path(__file__).with_name("hostile.yml").read_text("utf-8"))
    numbered = iter(range(10_000))
    found = {kind: tuple(text.replace("MARK", f"mark{next(numbered)}z") for text in texts) for kind, texts in read.items()}
    # What a file of YAML cannot hold, or nobody would read.
    return {**found, "of no alphabet": ("\ud800<b>mark9001z</b>", "\udcff\udc80mark9002z"), "long": ("mark9003z<b>" * 4_000,)}


def texts(*, but: Sequence[str] = ()) -> list[str]:
    """Every text, without those of some kinds."""
    return [text for kind, some in corpus().items() if kind not in but for text in some]


def bundles(said: Sequence[str], size: int = 8, turn: int = 0) -> list[str]:
    """Texts in bundles, each text on lines of its own; with another turn another one stands first."""
    some = [said[at : at + size] for at in range(0, len(said), size)]
    return ["\n".join([*one[turn % len(one) :], *one[: turn % len(one)]]) for one in some]


def hostile_shop(root: Path, said: Sequence[str]) -> Catalogue:
    """Write a shop that says each of these texts in every place that it has; a text that no file can hold stays out."""
    written = [text for text in said if len(text) <= MOST_OF_A_TEXT and _writable(text)]
    docs, books = root / "docs", root / "notebooks" / "shop"
    for name, page in PAGES.items():
        _write(docs / f"{name}.md", page)
    _write(root / "mkdocs.yml", MKDOCS)
    _write(docs / "systems/shop/system.yml", _json(_system(written)))
    _write(docs / "systems/shop/checklist.md", _checklist(written))
    _write(docs / "systems/shop/requirements.yml", _json(_requirements(written)))
    for number, (title, summary, text) in enumerate(zip(*(bundles(written, turn=turn) for turn in range(3)), strict=True)):
        _write(books / f"book-{number}.md", _runbook(number, title, summary, text))
    for number, title in enumerate(bundles(written, 24)):
        _write(docs / "incidents" / f"2024-11-12-n{number}.md", _incident(number, title))
    return load(root)


def told(catalogue: Catalogue, journal: Journal, said: Sequence[str]) -> None:
    """Journal what a hostile system and hostile people said: results, runs, sign-offs, notes."""
    said = [text for text in said if not _HALVES.search(text)]
    _measured(catalogue, journal, said)
    many = bundles(said)
    for number, text in enumerate(many):
        _ran(catalogue, journal, f"shop/book-{number % len(catalogue.runbooks)}", number, text)
    for (name, item), text in zip(_signable(catalogue), many, strict=False):
        word = SignOff(name, text, NOW - timedelta(hours=1), NOW + timedelta(days=3), item.digest, text)
        journal.record_event(SIGNED, word.at, word.item, word.actor, detail_of(word, "test", text))
    incidents = [incident.subject for incident in catalogue.incidents.values()]
    for number, text in enumerate(many):
        kind = (OPENED, ACKNOWLEDGED, NOTED)[number % 3]
        journal.record_event(kind, NOW - timedelta(minutes=90), incidents[number % len(incidents)], text, {"note": text})


def publish_shop(root: Path, said: Sequence[str]) -> tuple[Catalogue, Published]:
    """Write, journal and publish a shop that says these texts; what it declares, and what was published."""
    catalogue = hostile_shop(root, said)
    catalogue.settings.state.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack, open_journal(catalogue.settings.journal) as journal:
        for module, name, bound in SHORT:
            stack.enter_context(mock.patch.object(module, name, bound))
        told(catalogue, journal, said)
        archive.freeze(catalogue, journal, "test", NOW)
        return catalogue, publish(catalogue, journal, root / "public", NOW)


def _system(said: Sequence[str]) -> dict[str, Any]:
    first, second, third, fourth = (bundles(said, turn=turn) for turn in range(4))
    metrics = {
        f"m-{number}": {
            "title": text,
            "meaning": second[number],
            "group": third[number],
            "priority": fourth[number],
            "source": [f"shop.daily.r{number}"],
            "probe": {"kind": "command", "argv": ["cat", text.split("\n")[0]]},
            "critical": "> 10",
            "runbook": f"shop/book-{number}",
        }
        for number, text in enumerate(first)
    }
    return {
        "system": "shop",
        "title": first[0],
        "summary": second[-1],
        "owner": first[1],
        "contacts": [{"role": role, "reach": first[-1 - number]} for number, role in enumerate(first)],
        "environments": {"test": {"folder": first[0]}},
        "metrics": metrics,
        "conditions": {"c": {"title": first[0], "any": ["m-0", "m-1"]}},
        "severities": {f"P{number}": {"title": text, "hours": second[0]} for number, text in enumerate(first)},
        "maintenance": [
            {"title": text, "cron": "0 3 * * 0", "for": "30m", "note": second[number]} for number, text in enumerate(first)
        ],
    }


def _requirements(said: Sequence[str]) -> dict[str, Any]:
    first, second, third = (bundles(said, turn=turn) for turn in range(3))
    rows = {
        f"shop.daily.r{number}": {"kind": text, "proof": "measured", "asks": text, "gap": second[number], "note": third[number]}
        for number, text in enumerate(first)
    }
    return {"system": "shop", "rows": rows}


def _runbook(number: int, title: str, summary: str, text: str) -> str:
    front = {
        "title": title,
        "system": "shop",
        "kind": "report" if number % 3 else "check",
        "summary": summary,
        "owner": text,
        "schedule": {"cron": "0 7 * * *"},
        "parameters": {"note": {"type": "string", "default": text, "help": title, "choices": [text, summary]}},
    }
    cell = f"```python\nprint({text!r})\n```\n"
    # Words of the shop's own author, and code: they are shown as Markdown and as letters. A link to no page fails the build.
    steps = [f"## {_line(line)}\n\n{_typed(line)}\n" for line in text.split("\n") if not any(one in line for one in _UNBUILT)]
    return f"---\n{_json(front)}---\n\n# Book\n\n" + "\n".join([*steps, f"## Look\n\n{cell}"])


def _checklist(said: Sequence[str]) -> str:
    # A page's own macros and comments are its author's; what else a line may hold must not act.
    plain = [_line(text).replace("{", "(").replace("}", ")").replace("<!--", "<!-") for text in said]
    lines = [f'- {{{{ by_hand("shop/item-{number}", lasts="30d") }}}} {text}' for number, text in enumerate(plain)]
    return "# Checklist\n\n" + "\n\n".join(lines) + "\n"


def _incident(number: int, title: str) -> str:
    front = {"title": title, "system": "shop", "severity": f"P{number}", "opened": "2024-11-12T09:00:00Z"}
    return f'---\n{_json(front)}---\n\n# Incident\n\n{{{{ incident("2024-11-12-n{number}") }}}}\n'


def _measured(catalogue: Catalogue, journal: Journal, said: Sequence[str]) -> None:
    metrics = list(catalogue.systems["shop"].metrics.values())
    some = bundles(said, 1 + len(said) // len(metrics))
    for hours in (26, 2, 0):
        at = NOW - timedelta(hours=hours, minutes=1)
        results = []
        for number, metric in enumerate(metrics):
            text = some[number % len(some)]
            if (number + hours // 2) % 2:
                seen: Observation | Unmeasured = Unmeasured(text, at, 0.1, text)
            else:
                seen = Observation(float(12 + hours), metric.unit, at, 0.02, text, text)
            results.append(replace(judge(metric, seen, at), title=text, cell=1, step=1))
        run = _started(catalogue, journal, "shop/book-0", f"01M{hours}", at, said[0])
        evidence = keep_evidence(catalogue, [new_markdown_cell("## Look"), new_code_cell("check()")])
        ended = replace(run, state=RunState.FINISHED, status=Status.CRITICAL, evidence=evidence, ended_at=at)
        journal.finish_run(ended, results)


def _ran(catalogue: Catalogue, journal: Journal, book: str, number: int, text: str) -> None:
    at = NOW - timedelta(minutes=30)
    run = _started(catalogue, journal, book, f"01R{number:04}", at, text)
    data: dict[str, Any] = {"text/plain": text, "text/html": text, "image/svg+xml": text, "application/javascript": text}
    cells = [
        new_markdown_cell(f"## {text}"),
        new_markdown_cell(text),
        new_code_cell(
            text,
            execution_count=1,
            outputs=[
                new_output("stream", name="stdout", text=text),
                new_output("stream", name="stderr", text=text),
                new_output("display_data", data=data),
                new_output("display_data", data={"text/html": text, "text/markdown": text, "text/latex": text}),
                drawn(png(), alt=text, title=text),
                drawn(text.encode(errors="replace")),
                new_output("error", ename=text, evalue=text, traceback=[text]),
            ],
        ),
    ]
    evidence = _evidence(catalogue, cells)
    ended = replace(run, state=RunState.FAILED, reason=text, evidence=evidence, ended_at=at + timedelta(seconds=2))
    journal.finish_run(ended, [])


def _evidence(catalogue: Catalogue, cells: Sequence[Any]) -> str | None:
    try:
        nbformat.writes(new_notebook(cells=list(cells))).encode()
    except UnicodeEncodeError:
        return None
    return keep_evidence(catalogue, cells)


def _started(catalogue: Catalogue, journal: Journal, book: str, id_: str, at: datetime, text: str) -> Run:
    run = Run(
        id=id_,
        runbook=book,
        system="shop",
        environment="test",
        trigger=Trigger.OPERATOR,
        state=RunState.RUNNING,
        status=Status.UNKNOWN,
        started_at=at,
        parameters={"note": text},
        source=catalogue.runbook(book).digest,
        host=text,
        actor=text,
    )
    journal.start_run(run)
    return run


def _signable(catalogue: Catalogue) -> list[tuple[str, Any]]:
    return [(f"shop/item-{number}", catalogue.item(f"shop/item-{number}")) for number in range(len(catalogue.runbooks))]


def _writable(text: str) -> bool:
    """Whether a file can hold it: what is no character is refused by YAML, and by UTF-8."""
    return not _HALVES.search(text) and "\uffff" not in text


def _typed(text: str) -> str:
    """What a file of text can hold: one with a NUL is refused when the catalogue is read."""
    return text.replace("\0", "")


def _line(text: str) -> str:
    return " ".join(_typed(text).split()) or "-"


def _json(document: Mapping[str, Any]) -> str:
    # What JSON writes as two halves, YAML writes as one.
    whole = re.sub(r"\\ud[89ab][0-9a-f]{2}\\ud[c-f][0-9a-f]{2}", _one, json.dumps(document, indent=1))
    return whole + "\n"


def _one(halves: re.Match[str]) -> str:
    return f"\\U{ord(json.loads(f'{chr(34)}{halves.group()}{chr(34)}')):08x}"


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
