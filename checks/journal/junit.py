"""A report as JUnit XML, one test case an item, as continuous integration shows it."""

from __future__ import annotations

from xml.etree import ElementTree as ET

from checks.journal.formats import inert
from checks.journal.report import Item, SiteReport, SystemReport
from checks.model import Status


def to_junit(report: SiteReport, environment: str) -> str:
    """Write a report as JUnit XML.

    What is critical is a failure. What is unknown or stale is an error: nobody knows whether it is well. A warning passes,
    and its output says why it warns.

    Args:
        report: of all systems, or of one.
        environment: where they were measured.

    """
    root = ET.Element("testsuites", {"name": f"proofbook {inert(environment)}", **_counts(report.items)})
    for system in report.systems:
        _suite(root, system, environment, report)
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _suite(root: ET.Element, system: SystemReport, environment: str, report: SiteReport) -> None:
    written = {"name": system.system, "timestamp": report.now.strftime("%Y-%m-%dT%H:%M:%S"), **_counts(system.items)}
    suite = ET.SubElement(root, "testsuite", written)
    properties = ET.SubElement(suite, "properties")
    for name, value in (("title", system.title), ("environment", environment), ("status", system.status.value)):
        ET.SubElement(properties, "property", {"name": name, "value": inert(value)})
    for item in system.items:
        _case(suite, item)


def _case(suite: ET.Element, item: Item) -> None:
    seen = item.result.observation if item.result else None
    about = {"classname": item.system, "name": f"{item.slug.partition('/')[2]}: {inert(item.title)}"}
    case = ET.SubElement(suite, "testcase", {**about, "time": f"{seen.took if seen else 0:.3f}"})
    reason = inert(item.reason)
    match item.status:
        case Status.CRITICAL:
            ET.SubElement(case, "failure", {"type": item.label, "message": reason}).text = _details(item)
        case Status.UNKNOWN:
            ET.SubElement(case, "error", {"type": item.label, "message": reason}).text = _details(item)
        case Status.WARNING:
            ET.SubElement(case, "system-out").text = f"warning: {reason}"
        case Status.OK:
            pass


def _details(item: Item) -> str:
    result = item.result
    limits = (("warning", result.warning), ("critical", result.critical)) if result else ()
    lines = [item.reason, *(f"{name}: {text}" for name, text in limits if text), f"run: {item.run_id or 'none'}"]
    return "\n".join(inert(line) for line in lines)


def _counts(items: tuple[Item, ...]) -> dict[str, str]:
    statuses = [item.status for item in items]
    return {
        "tests": str(len(statuses)),
        "failures": str(statuses.count(Status.CRITICAL)),
        "errors": str(statuses.count(Status.UNKNOWN)),
    }
