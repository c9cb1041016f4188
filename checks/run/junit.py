"""Runs as JUnit XML, one test case a step, as continuous integration shows it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC
from pathlib import Path
from xml.etree import ElementTree as ET

from checks.catalogue import Catalogue
from checks.journal.formats import inert
from checks.model import Status
from checks.run.ends import Outcome
from checks.run.notebook import text_line
from checks.run.steps import StepReport, Verdict, evidence_of, lines, reports


def to_junit(outcomes: Iterable[Outcome], catalogue: Catalogue, environment: str) -> str:
    """Write runs as JUnit XML: a suite a run, a case a step, with its place in the runbook's file.

    A step with a critical result is a failure, one that is unknown or did not end well an error; a step that is left to a
    person or was not reached is skipped. A warning passes, and its output says why it warns.

    Args:
        outcomes: the ended runs.
        catalogue: where their runbooks stand.
        environment: where they ran.

    """
    root = ET.Element("testsuites", {"name": f"proofbook run {inert(environment)}"})
    counts = {"tests": 0, "failures": 0, "errors": 0, "skipped": 0}
    for outcome in outcomes:
        for name, number in _suite(root, outcome, catalogue).items():
            counts[name] += number
    root.attrib.update({name: str(number) for name, number in counts.items()})
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _suite(root: ET.Element, outcome: Outcome, catalogue: Catalogue) -> dict[str, int]:
    run = outcome.run
    book = catalogue.runbooks[run.runbook]
    took = (run.ended_at - run.started_at).total_seconds() if run.ended_at else 0.0
    evidence = outcome.evidence if outcome.evidence is not None else evidence_of(run, catalogue.settings.state)
    steps = reports(run, outcome.results, evidence)
    counts = {
        "tests": len(steps),
        "failures": sum(_is_failure(step) for step in steps),
        "errors": sum(step.verdict is Verdict.FAILED and not _is_failure(step) for step in steps),
        "skipped": sum(step.verdict is Verdict.SKIPPED for step in steps),
    }
    started = run.started_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S")
    about = {"name": run.runbook, "timestamp": started, "time": f"{took:.3f}", "hostname": inert(run.host)}
    suite = ET.SubElement(root, "testsuite", {**about, **{name: str(number) for name, number in counts.items()}})
    properties = ET.SubElement(suite, "properties")
    told = (
        ("run", run.id),
        ("status", run.status.value),
        ("state", run.state.value),
        ("environment", run.environment),
        ("evidence", run.evidence or "none"),
        *((f"parameter {name}", str(value)) for name, value in run.parameters.items()),
    )
    for name, value in told:
        ET.SubElement(properties, "property", {"name": inert(name), "value": inert(value)})
    path = book.path.relative_to(catalogue.root) if book.path.is_relative_to(catalogue.root) else book.path
    begins = _begins(book.path)
    for step in steps:
        _case(suite, step, run.runbook, path, begins[step.number - 1] if 0 < step.number <= len(begins) else 1)
    return counts


def _case(suite: ET.Element, step: StepReport, slug: str, path: Path, line: int) -> None:
    about = {"classname": slug.replace("/", "."), "name": inert(step.title), "file": str(path), "line": str(line)}
    case = ET.SubElement(suite, "testcase", {**about, "time": f"{step.took:.3f}"})
    said = "\n".join(inert(text_line(result)) for result in step.results)
    match step.verdict:
        case Verdict.SKIPPED:
            ET.SubElement(case, "skipped", {"message": inert(step.reason)})
        case Verdict.FAILED:
            kind = "failure" if _is_failure(step) else "error"
            of = step.status.value if step.status else Status.UNKNOWN.value
            text = "\n".join(part for part in (f"{path}:{line}: {inert(step.reason)}", said) if part)
            ET.SubElement(case, kind, {"type": of, "message": inert(step.reason)}).text = text
        case Verdict.PASSED:
            if said:
                ET.SubElement(case, "system-out").text = said


def _is_failure(step: StepReport) -> bool:
    return step.verdict is Verdict.FAILED and step.status is Status.CRITICAL


def _begins(path: Path) -> tuple[int, ...]:
    try:
        return lines(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError):
        return ()
