"""What a publication holds beside its pages, for programs: the same facts in the formats that they read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from checks.journal.junit import to_junit
from checks.journal.openmetrics import to_openmetrics
from checks.model import Status
from checks.site import badges, feeds

if TYPE_CHECKING:
    from datetime import datetime

    from checks.journal.report import Item, SystemReport
    from checks.site.facts import Facts

_HEALTH = {Status.OK: "pass", Status.WARNING: "warn", Status.CRITICAL: "fail", Status.UNKNOWN: "fail"}
CALENDAR = "calendar.ics"


def write(facts: Facts, to: Path) -> list[Path]:
    """Write every export into the folder of a site.

    Returns:
        the files written.

    """
    return [_written(to / name, content) for name, content in {**files(facts), CALENDAR: feeds.calendar(facts)}.items()]


def files(facts: Facts) -> dict[str, str | bytes]:
    """What every export but the calendar holds, by its address."""
    whole = status_document(facts)
    systems = whole["systems"]
    about = {name: whole[name] for name in ("version", "publication", "published_at", "environment")}
    found: dict[str, str | bytes] = {
        "status.json": _json(whole),
        "metrics.txt": to_openmetrics(facts.report, facts.environment),
        "junit.xml": to_junit(facts.report, facts.environment),
        "feed.xml": feeds.atom(facts),
    }
    for report in facts.report.systems:
        found[f"status/{report.system}.json"] = _json({**about, "system": report.system, **systems[report.system]})
        found[f"badges/{report.system}.svg"] = badges.badge(facts, report)
    return found


def status_document(facts: Facts) -> dict[str, Any]:
    """What ``status.json`` says: the whole, each system and each metric, with observed values beside their limits.

    It is ``application/health+json`` (draft-inadarei-api-health-check-06) with more in it: `status` and `checks` are that
    format's, where what is unknown fails; `worst` and what is below `systems` speak Proofbook's words.
    """
    report, needs = facts.report, facts.report.needs
    return {
        "status": _HEALTH[report.status],
        "version": "1",
        "releaseId": str(facts.publication.number),
        "description": f"{facts.catalogue.settings.site_name}: {facts.environment}",
        "output": f"{needs[0].title}: {needs[0].reason}" if needs else "",
        "checks": {f"{one.system}:status": [_check(one)] for one in report.systems},
        "worst": report.status.value,
        "publication": facts.publication.number,
        "published_at": facts.now.isoformat(),
        "environment": facts.environment,
        "stale_at": _moment(facts.report.stale_at),
        "systems": {report.system: _system(report) for report in facts.report.systems},
    }


def _check(report: SystemReport) -> dict[str, Any]:
    needs = report.needs
    return {
        "componentId": report.system,
        "componentType": "system",
        "observedValue": report.status.value,
        "status": _HEALTH[report.status],
        "time": _moment(report.newest_at),
        "output": f"{needs[0].title}: {needs[0].reason}" if needs else "",
    }


def _system(report: SystemReport) -> dict[str, Any]:
    metrics = {item.slug: _metric(item) for item in report.items if item.metric}
    runs = {item.slug: {"status": item.label, "reason": item.reason, "run": item.run_id} for item in report.items if item.run}
    ok = {"ok": report.ok_count, "total": report.total}
    times = {"measured_at": _moment(report.newest_at), "stale_at": _moment(report.stale_at)}
    return {"title": report.title, "status": report.status.value, **ok, **times, "metrics": metrics, "runs": runs}


def _metric(item: Item) -> dict[str, Any]:
    seen = item.result.observation if item.result else None
    return {
        "title": item.title,
        "status": item.label,
        "reason": item.reason,
        "value": seen.value if seen else None,
        "unit": seen.unit if seen else (item.metric.unit if item.metric else ""),
        "warning": item.metric.warning.text if item.metric and item.metric.warning else None,
        "critical": item.metric.critical.text if item.metric and item.metric.critical else None,
        "since": _moment(item.since),
        "measured_at": _moment(item.measured_at),
        "stale_at": _moment(item.stale_at),
        "run": item.run_id,
    }


def _json(document: dict[str, Any]) -> str:
    # Indented, it would take ten times as long to write.
    return json.dumps(document, ensure_ascii=False) + "\n"


def _moment(at: datetime | None) -> str | None:
    return at.isoformat() if at else None


def _written(path: Path, content: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    # A file of the same name among the pages is the skeleton's own.
    path.unlink(missing_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path
