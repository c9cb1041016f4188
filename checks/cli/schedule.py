"""``proofbook schedule``: what runs when, and the process that runs it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from checks.cli._shared import EnvironmentOption, RootOption, root_of, say, variables, workspace

if TYPE_CHECKING:
    from datetime import datetime

    from checks.catalogue import Catalogue
    from checks.journal import Sign

app = typer.Typer(help="When runbooks are due, and what runs them.", no_args_is_help=True)


@app.command("run")
def run(
    jobs: Annotated[
        int | None, typer.Option("--jobs", "-j", min=1, help="Runs at once; default: one a processor.", show_default=False)
    ] = None,
    environment: EnvironmentOption = None,
    root: RootOption = None,
) -> None:
    """Stay, run each runbook when it is due, and sample each metric that has `every:`, until you press Ctrl-C.

    What it does it says in plain lines. Files that people change are read anew. Several schedulers may stay in one
    environment: each time is run by one of them, and one of them samples. Asked to end (Ctrl-C, SIGTERM), it ends what runs,
    journals that as cancelled, and exits 0. With `alive:` in mkdocs.yml it touches a file, or asks an address, every quarter
    of a minute, so that something else can notice when it stops.

    Example: `proofbook schedule run --environment production`
    """
    import os
    import signal
    import threading
    from datetime import UTC, datetime

    from checks.cli._reporter import Lines
    from checks.journal import open_journal
    from checks.run import kernels
    from checks.schedule.place import Lookout
    from checks.schedule.resident import Resident

    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: stop.set())
    look = Lookout(root_of(root), environment, variables)
    place = look()
    place.catalogue.require_inhabited(place.environment)
    with open_journal(place.catalogue.settings.journal) as journal:
        at_once = jobs or os.cpu_count() or 1
        kernels.stand_by(1)
        resident = Resident(look, journal, clock=lambda: datetime.now(UTC), jobs=at_once, reporter=Lines())
        books = sum(book.schedule is not None for book in place.catalogue.runbooks_in(place.environment))
        what = f"{books} runbook{'' if books == 1 else 's'} with a schedule in {place.environment}, {at_once} at once"
        say(f"{what}; press Ctrl-C to stop")
        resident.run(stop)
    say("stopped")


@app.command("sample")
def sample(environment: EnvironmentOption = None, root: RootOption = None) -> None:
    """Sample, once, each metric with `every:` that is due, and journal what it is; safe to call from cron.

    For those without `proofbook schedule run`: called every minute, it does the same sampling. Where a scheduler is at work
    in the environment it leaves the samples to that one. Exit 0 ok, 1 warning, 2 critical, 3 unknown: the worst of what was
    sampled; 0 where nothing was due.

    Example: `proofbook schedule sample`
    """
    import asyncio
    from datetime import UTC, datetime

    from checks.cli.check import print_results
    from checks.journal import open_journal, owner
    from checks.journal.facts import SCHEDULER
    from checks.model import Status
    from checks.schedule.cadence import due_samples
    from checks.schedule.sampler import Sampler
    from checks.schedule.sampling import tasks_of

    place, now = workspace(root, environment), datetime.now(UTC)
    place.catalogue.require_inhabited(place.environment)
    with open_journal(place.catalogue.settings.journal) as journal:
        signs = [sign for sign in journal.signs(place.environment) if sign.role == SCHEDULER and sign.until > now]
        if signs and not owner.gone(signs[0].owner):
            say(f"{owner.shown(signs[0].owner)} samples here")
            return
        tasks = tasks_of(place.catalogue, place.environment, place.variables)
        due = {metric.slug for metric in due_samples((task.metric for task in tasks), journal.last_seen(place.environment), now)}
        sampler = Sampler(journal, place.environment, clock=lambda: datetime.now(UTC))
        results = asyncio.run(sampler.once(task for task in tasks if task.metric.slug in due))
    if not results:
        say("no sample is due" if tasks else "no metric is sampled here")
        return
    print_results(results)
    raise typer.Exit(Status.worst(result.status for result in results).exit_code)


@app.command("next")
def next_(environment: EnvironmentOption = None, root: RootOption = None) -> None:
    """List what is due, when each runbook is due next, and whether a scheduler is there to run it; nothing is run or claimed.

    Example: `proofbook schedule next`
    """
    from datetime import UTC, datetime

    from checks import catalogue
    from checks.cli._tables import print_table

    loaded, now = catalogue.load(root_of(root)), datetime.now(UTC)
    loaded.require_inhabited(environment or loaded.settings.environment)
    claimed, signs = _known(loaded, environment or loaded.settings.environment)
    say(_at_work(signs, now))
    rows = _rows(loaded, claimed, environment or loaded.settings.environment, now)
    if not rows:
        say("no runbook has a schedule here")
        return
    print_table(("due", "runbook", "in UTC", "schedule", "time zone"), rows, {"now": "bold yellow"})


def _known(loaded: Catalogue, environment: str) -> tuple[dict[str, datetime], list[Sign]]:
    """The latest slots, and who signed for what."""
    from checks.journal import JournalMissing, open_journal

    try:
        with open_journal(loaded.settings.journal, create=False) as journal:
            return journal.last_slots(environment), journal.signs(environment)
    except JournalMissing:
        return {}, []


def _at_work(signs: list[Sign], now: datetime) -> str:
    """Whether a scheduler is at work, in one sentence."""
    from checks.journal import owner
    from checks.journal.facts import SCHEDULER
    from checks.judge import format_value

    sign = next((sign for sign in signs if sign.role == SCHEDULER), None)
    if sign is None:
        return "no scheduler was ever at work here; start one: proofbook schedule run"
    ago = format_value(max(0, round((now - sign.at).total_seconds())), "s")
    if sign.until > now and not owner.gone(sign.owner):
        return f"{owner.shown(sign.owner)} is at work since {sign.since:%Y-%m-%d %H:%M} UTC; its last sign of life is {ago} old"
    return f"no scheduler is at work here; the last sign of life of {owner.shown(sign.owner)} is {ago} old"


def _rows(loaded: Catalogue, claimed: dict[str, datetime], environment: str, now: datetime) -> list[tuple[str, ...]]:
    """What is due already, those waiting longest first; then what comes, the soonest first."""
    from checks.judge import format_value
    from checks.schedule import due_here, next_due, runbooks_here

    books = {book.slug: book for book in runbooks_here(loaded, environment)}
    entries = [("now", slot.runbook, slot.due_at) for slot in due_here(loaded, claimed, environment, now)]
    coming = sorted((moment, slug) for slug, book in books.items() if (moment := next_due(book, now)) is not None)
    entries += [(f"in {format_value(round((moment - now).total_seconds()), 's')}", slug, moment) for moment, slug in coming]
    return [
        (when, slug, f"{moment:%Y-%m-%d %H:%M}", cron.expression, cron.timezone)
        for when, slug, moment in entries
        if (cron := books[slug].schedule) is not None
    ]
