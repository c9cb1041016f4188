"""``proofbook journal``: the store of what was found."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from checks.cli._shared import EnvironmentOption, RootOption, root_of, say

if TYPE_CHECKING:
    from datetime import datetime

    from checks.catalogue import Catalogue
    from checks.journal.archive import Backup
    from checks.journal.prune import Pruned
    from checks.journal.verify import Noted, Verified

_SHOWN = 100


class Format(Enum):
    """How an answer is printed."""

    TEXT = "text"
    JSON = "json"


app = typer.Typer(help="The store of every run and what it found.", no_args_is_help=True)


@app.command("migrate")
def migrate(root: RootOption = None) -> None:
    """Make the journal, or bring an older one to this version's schema; an SQLite file is copied beside itself first.

    Every command that opens the journal does the same; this one does nothing else.

    Example: `proofbook journal migrate`
    """
    from checks.catalogue import read_settings
    from checks.journal import open_journal

    with open_journal(read_settings(root_of(root)).journal) as journal:
        say(f"{journal.where} is up to date")


@app.command("rebuild")
def rebuild(root: RootOption = None) -> None:
    """Draw everything that is derived anew from the facts: what is latest, changes of status and limits, days, stretches.

    It is kept beside the facts as they are written, so this changes nothing unless somebody has changed the database by hand.
    No fact is touched. Ten million observations take a few minutes; runs wait meanwhile.

    Example: `proofbook journal rebuild`
    """
    from checks.catalogue import read_settings
    from checks.journal import open_journal

    with open_journal(read_settings(root_of(root)).journal, create=False) as journal:
        journal.rebuild()
        say(f"what is derived in {journal.where} is drawn anew")


@app.command("verify")
def verify(
    holds: Annotated[
        str | None,
        typer.Option(
            "--holds", metavar="NUMBER:DIGEST", help="A head of the chain that was noted earlier: it must still be part of it."
        ),
    ] = None,
    format: Annotated[Format, typer.Option("--format", "-f", help="How the answer is printed.")] = Format.TEXT,  # noqa: A002
    root: RootOption = None,
) -> None:
    """Read the whole journal and its evidence, and say what is not as it was written; exit 65 if there is anything.

    Found are: a database that is damaged; an event that was changed, put in or taken out; a value, limit, status or any other
    part of a result or run that was changed; values and results that are missing; evidence with other bytes. Ten million
    observations take a few minutes; runs go on meanwhile.

    The head of the chain that is printed in the end (how many events, and the digest of the last one) stands for all of them.
    Keep it where nobody who can write to the journal can: with --holds, a chain that was written anew is found, too.

    Example: `proofbook journal verify`

    Example: `proofbook journal verify --holds 1284:3fa9c1d07b`
    """
    import json
    from dataclasses import asdict

    from checks.catalogue import read_settings
    from checks.errors import DataError
    from checks.journal import open_journal
    from checks.run.evidence import path_of

    settings = read_settings(root_of(root))
    noted = _noted(holds)

    def evidence(digest: str) -> bytes | None:
        path = path_of(settings.state, digest)
        return path.read_bytes() if path.is_file() else None

    with open_journal(settings.journal, create=False, state=settings.state) as journal:
        told = journal.verify(evidence, noted)
    if format is Format.JSON:
        print(json.dumps({"version": 1, **asdict(told)}, indent=2, ensure_ascii=False))
    else:
        _print_verified(told)
    raise typer.Exit(DataError.exit_code if told.findings else 0)


@app.command("backup")
def backup(
    file: Annotated[Path, typer.Argument(help="Where to; an older backup there is replaced, in one step.", show_default=False)],
    root: RootOption = None,
) -> None:
    """Copy the journal into a file, as it is at one moment, while runs go on.

    The file is an SQLite journal, also where the journal is in PostgreSQL; `journal restore` brings it back into either. Evidence
    and what runs rested on are not in it: copy `.proofbook/evidence/` and `.proofbook/inputs/`, too, whose files never change.
    What was changed in the journal is copied as it is, and then refused by `journal restore`: verify before you rely on it.

    Example: `proofbook journal backup /srv/backups/journal.db`
    """
    from checks.catalogue import read_settings
    from checks.journal import open_journal

    with open_journal(read_settings(root_of(root)).journal, create=False) as journal:
        print(_held(journal.back_up(file)))
        say(f"{journal.where} is copied into {file}")


@app.command("restore")
def restore(
    file: Annotated[Path, typer.Argument(help="A file that `journal backup` wrote.", show_default=False)],
    root: RootOption = None,
) -> None:
    """Bring a backup back into a journal that has nothing in it yet, SQLite or PostgreSQL.

    It is read and verified first: a backup that is not what was written is refused (exit 65), and so is a journal that has
    anything in it (exit 77); put that one aside, or name another by PROOFBOOK_JOURNAL.

    Example: `proofbook journal restore /srv/backups/journal.db`
    """
    from checks.catalogue import read_settings
    from checks.journal import open_journal

    with open_journal(read_settings(root_of(root)).journal) as journal:
        print(_held(journal.restore(file)))
        say(f"{file} is brought back into {journal.where}")


@app.command("prune")
def prune(
    keep: Annotated[str, typer.Option("--keep", help="How much is kept, such as 400d; what is older goes.", show_default=False)],
    delete: Annotated[bool, typer.Option("--delete", help="Really take it out; without it, only say what would go.")] = False,
    root: RootOption = None,
) -> None:
    """Say what is older than anybody wants to keep, and with --delete take it out, with the evidence that only it rests on.

    Never taken out: events, which are the audit, every sign-off and the stories of incidents; of a system with an open incident
    anything since a day before it began; of each metric the latest result, the last one of each status and the first of its
    present one; of each runbook its latest run. What limits look back on must be kept, too: less is refused (exit 77).
    Runs wait meanwhile. An SQLite file keeps its size; the room is used again.

    Example: `proofbook journal prune --keep 400d`

    Example: `proofbook journal prune --keep 400d --delete`
    """
    from datetime import UTC, datetime, timedelta

    from checks.catalogue import load
    from checks.cli._moments import span
    from checks.journal import open_journal
    from checks.run import inputs
    from checks.run.evidence import path_of
    from checks.run.login import login

    catalogue, now = load(root_of(root)), datetime.now(UTC)
    before = now - span(keep)
    _require_enough(catalogue, now, before)
    spared: dict[str, datetime] = {}
    for incident in catalogue.incidents.values():
        if incident.resolved is None:
            since = incident.opened - timedelta(days=1)
            spared[incident.system] = min(since, spared.get(incident.system, since))
    with open_journal(catalogue.settings.journal, create=False) as journal:
        if delete:
            done = journal.prune(before, spared, now, login())
            state = catalogue.settings.state
            for path in (*(path_of(state, one) for one in done.evidence), *(inputs.path_of(state, one) for one in done.inputs)):
                path.unlink(missing_ok=True)
        else:
            done = journal.would_prune(before, spared)
    print(_gone(done, spared, really=delete))
    if not delete:
        say("nothing was taken out; do it with --delete")


def _noted(holds: str | None) -> Noted | None:
    from checks.errors import UsageError
    from checks.journal.verify import Noted

    if holds is None:
        return None
    number, _, digest = holds.partition(":")
    if not number.isdigit() or len(digest) < 8 or set(digest) - set("0123456789abcdef"):
        raise UsageError("this is no head of a chain", found=holds, expected="NUMBER:DIGEST", example="1284:3fa9c1d07b")
    return Noted(int(number), digest)


def _require_enough(catalogue: Catalogue, now: datetime, before: datetime) -> None:
    """Refuse to take out what limits still look back on."""
    from checks.errors import Refused
    from checks.judge import needed_since

    needed = {
        since: metric.slug
        for system in catalogue.systems.values()
        for metric in system.metrics.values()
        if (since := needed_since(metric, now)) is not None
    }
    if needed and min(needed) < before:
        first = min(needed)
        raise Refused(
            "what limits look back on must be kept",
            where=needed[first],
            found=f"it looks back {(now - first).days + 1} days",
            remedy=f"--keep {(now - first).days + 1}d, or more",
        )


def _print_verified(told: Verified) -> None:
    from checks.cli._tables import print_table

    if told.findings:
        print_table(("where", "what"), [(one.where, one.what) for one in told.findings[:_SHOWN]], {})
        if len(told.findings) > _SHOWN:
            print(f"and {len(told.findings) - _SHOWN} more")
        print()
    print(
        f"{told.runs:,} runs, {told.results:,} results, {told.observations:,} observations, {told.evidence:,} files of evidence"
    )
    for number, what in (
        (told.unsealed, "runs are of before there were seals: of these, the results are sealed as they were found then"),
        (told.elsewhere, "files of evidence are of other machines' runs, and not here"),
    ):
        if number:
            print(f"{number:,} {what}")
    print(f"events: {told.number:,}, the last one {told.head or '-'}")
    count = len(told.findings)
    say("all of it is what was written" if not count else f"{count} finding{'' if count == 1 else 's'}")
    if not all("journal rebuild" in one.what for one in told.findings):
        say("bring back what is lost: the journal by `proofbook journal restore` into an empty one, evidence as files")


def _held(held: Backup) -> str:
    counts = ", ".join(f"{number:,} {name}" for name, number in held.counts.items())
    return f"{counts}; head of the chain {held.number}:{held.head or '-'}"


def _gone(done: Pruned, spared: Mapping[str, datetime], *, really: bool) -> str:
    verb = "taken out" if really else "to be taken out"
    lines = [
        f"older than {done.before:%Y-%m-%d %H:%M} UTC, {verb}: {done.runs:,} runs, {done.results:,} results, "
        f"{done.observations:,} observations, {done.slots:,} slots, {len(done.evidence):,} files of evidence",
        f"older, and kept: every event; {done.kept:,} runs that something still rests on",
    ]
    lines += [
        f"kept for its open incident: {system}, since {since:%Y-%m-%d %H:%M} UTC" for system, since in sorted(spared.items())
    ]
    return "\n".join(lines)


class What(Enum):
    """What is exported of a metric."""

    RESULTS = "results"
    OBSERVATIONS = "observations"


@app.command("export")
def export(
    metric: Annotated[str, typer.Argument(help="The metric (system/metric).")],
    what: Annotated[
        What, typer.Option("--what", "-w", help="How each value was judged, with the limits of then; or every value measured.")
    ] = What.RESULTS,
    days: Annotated[int, typer.Option("--days", "-d", min=1, help="How many days back.")] = 30,
    environment: EnvironmentOption = None,
    root: RootOption = None,
) -> None:
    """Print what the journal holds of a metric as CSV, the oldest first, for a spreadsheet or a program.

    Figures stand as figures. A text that a spreadsheet would take for a formula begins with an apostrophe.

    Example: `proofbook journal export shop/latency --days 7 > latency.csv`
    """
    import sys
    from datetime import UTC, datetime, timedelta

    from checks import catalogue
    from checks.journal import open_journal
    from checks.journal.sheets import OBSERVED, RESULTS, observed, results, to_csv

    loaded = catalogue.load(root_of(root))
    declared = loaded.metric(metric)
    place, since = environment or loaded.settings.environment, datetime.now(UTC) - timedelta(days=days)
    with open_journal(loaded.settings.journal, create=False) as journal:
        if what is What.RESULTS:
            text = to_csv(RESULTS, results(journal.bulk(place).judged(declared.slug, since)))
        else:
            text = to_csv(OBSERVED, observed(journal.bulk(place).values(declared.slug, since)))
    sys.stdout.reconfigure(newline="")  # type: ignore[union-attr]  # each line ends as the standard says, on any system
    sys.stdout.write(text)
