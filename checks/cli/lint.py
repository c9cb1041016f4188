"""``proofbook lint``: everything in the catalogue that is wrong or cannot fail, all at once."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from checks.cli._shared import EnvironmentOption, RootOption, root_of, say

if TYPE_CHECKING:
    from collections.abc import Sequence

    from checks.catalogue import Catalogue
    from checks.catalogue.fail_open import Finding
    from checks.catalogue.gaps import Gap
    from checks.judge.proof import Proof


class Format(StrEnum):
    """How what is found is printed."""

    TEXT = "text"
    JSON = "json"


def lint(
    metrics: Annotated[
        list[str] | None,
        typer.Argument(metavar="[SYSTEM[/METRIC]]...", help="With --prove: which metrics; default: all.", show_default=False),
    ] = None,
    prove: Annotated[
        bool, typer.Option("--prove", help="Feed each metric values on both sides of each limit, and show its status turn.")
    ] = False,
    journal: Annotated[
        bool | None,
        typer.Option(
            "--journal/--no-journal",
            help="Look through the journal, too: selects that never matched, what was never red. Default: where there is one.",
            show_default=False,
        ),
    ] = None,
    schemas: Annotated[
        Path | None,
        typer.Option("--schemas", help="Also write the JSON Schemas that editors use to this folder.", show_default=False),
    ] = None,
    format: Annotated[Format, typer.Option("--format", "-f", help="How what is found is printed.")] = Format.TEXT,  # noqa: A002
    environment: EnvironmentOption = None,
    root: RootOption = None,
) -> None:
    """Check every system.yml and every runbook; exit 65 if any is not valid, or has a check that can never fail.

    What may fail open (a failure thrown away, a value typed in) is printed and counted, and so are named gaps (contacts
    that nobody filled in, metrics that no runbook checks). Where there is a journal, it says what was never seen to fail.
    With --prove, a metric whose status cannot be turned ends with 65.

    Example: `proofbook lint`

    Example: `proofbook lint --prove shop/error-rate`
    """
    from checks import catalogue
    from checks.catalogue import json_schema
    from checks.errors import UsageError

    if metrics and not prove:
        raise UsageError("metrics are named for --prove only", example="proofbook lint --prove shop/error-rate")
    loaded = catalogue.load(root_of(root))
    if schemas is not None:
        for path in json_schema.write(schemas):
            say(f"wrote {path}")
    if prove:
        _prove(loaded, metrics or list(loaded.systems), format)
    else:
        _lint(loaded, environment or loaded.settings.environment, journal, format)


def _lint(loaded: Catalogue, environment: str, with_journal: bool | None, shown: Format) -> None:
    from checks.catalogue import gaps
    from checks.catalogue.fail_open import Severity, find
    from checks.catalogue.requirements import coverage
    from checks.errors import CatalogueErrors

    coverage(loaded)
    open_, found = gaps.find(loaded), find(loaded)
    if with_journal is not False:
        found += _in_history(loaded, environment, asked=with_journal is True)
    errors = [finding for finding in found if finding.severity is Severity.ERROR]
    others = [finding for finding in found if finding.severity is Severity.FINDING]
    if shown is Format.JSON:
        _print_json({"gaps": [_gap(gap) for gap in open_], "findings": [_finding(finding) for finding in found]})
    else:
        for line in (*open_, *others):
            print(line)
    if errors:
        raise CatalogueErrors([finding.as_error() for finding in errors])
    counts = (
        _count(len(loaded.systems), "system"),
        _count(sum(len(system.metrics) for system in loaded.systems.values()), "metric"),
        _count(len(loaded.runbooks), "runbook"),
    )
    tail = f", {_count(len(others), 'finding')}" if others else ""
    say(f"{counts[0]}, {counts[1]} and {counts[2]} are valid; {_count(len(open_), 'named gap')}{tail}")


def _in_history(loaded: Catalogue, environment: str, *, asked: bool) -> list[Finding]:
    """What the journal shows; unless somebody asked for it, one that is not there or cannot be read is no fault of lint's."""
    from checks.catalogue.fail_open import find_in_history
    from checks.errors import ProofbookError
    from checks.journal import JournalMissing, open_journal

    try:
        with open_journal(loaded.settings.journal, create=False) as journal:
            seen, measured = journal.statuses_seen(environment), journal.ever_measured(environment)
    except JournalMissing:
        if not asked:
            return []
        seen, measured = {}, frozenset()
    except ProofbookError as error:
        if asked:
            raise
        say(f"the journal was not looked through: {error.what}")
        return []
    found = list(find_in_history(loaded, environment, seen, measured))
    never = sum("never seen red" in finding.what for finding in found)
    say(f"{_count(never, 'metric')} of {_count(_declared(loaded, environment), 'metric')} never seen red in {environment}")
    return found


def _declared(loaded: Catalogue, environment: str) -> int:
    return sum(len(system.metrics) for system in loaded.systems_in(environment))


def _prove(loaded: Catalogue, names: Sequence[str], shown: Format) -> None:
    from datetime import UTC, datetime

    from checks.catalogue.domains import domain_of
    from checks.cli.check import named
    from checks.errors import DataError
    from checks.judge.proof import Turn, prove

    now = datetime.now(UTC)
    proofs = [proof for metric in named(loaded, names) for proof in prove(metric, domain_of(metric), now)]
    if shown is Format.JSON:
        _print_json({"proofs": [_proof(proof) for proof in proofs]})
    else:
        _print_proofs(proofs)
    stuck = sorted({proof.metric for proof in proofs if proof.turn is Turn.NO})
    if stuck:
        raise DataError(
            f"the status of {_count(len(stuck), 'metric')} cannot be turned: {', '.join(stuck)}",
            expected="a value that breaks each limit, and one that does not",
            remedy="mend the limit; proofbook lint says what its values can be",
        )
    turned = sum(proof.turn is Turn.YES for proof in proofs)
    say(f"{turned} of {_count(len(proofs), 'limit')} of {_count(len({proof.metric for proof in proofs}), 'metric')} turn")


def _print_proofs(proofs: Sequence[Proof]) -> None:
    from checks.cli._tables import print_table

    rows = []
    for proof in proofs:
        judged = "; ".join(f"{case.text} → {case.status.value}" for case in proof.cases)
        rows.append([proof.turn.value, proof.metric, proof.status.value, proof.limit, judged])
    print_table(("proof", "metric", "status", "limit", "judged"), rows, {"turns": "green", "cannot turn": "bold red"})


def _proof(proof: Proof) -> dict[str, Any]:
    cases = [{"value": case.text, "status": case.status.value, "reason": case.reason} for case in proof.cases]
    return {
        "metric": proof.metric,
        "status": proof.status.value,
        "limit": proof.limit,
        "proof": proof.turn.value,
        "cases": cases,
    }


def _gap(gap: Gap) -> dict[str, Any]:
    return {"path": str(gap.where.path), "line": gap.where.line, "column": gap.where.column, "what": gap.what}


def _finding(finding: Finding) -> dict[str, Any]:
    where = finding.where
    return {
        "path": str(where.path),
        "line": where.line,
        "column": where.column,
        "severity": finding.severity.value,
        "what": finding.what,
        "remedy": finding.remedy,
    }


def _print_json(answer: dict[str, Any]) -> None:
    import json

    print(json.dumps({"version": 1, **answer}, indent=2, ensure_ascii=False, allow_nan=False))


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
