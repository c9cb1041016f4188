"""``proofbook publish``: run the runbooks, build the site, swap it in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from checks.cli._shared import EnvironmentOption, RootOption, root_of, say, variables, workspace
from checks.cli.run import FreshOption
from checks.cli.serve import PortOption, ToOption, until_stopped

if TYPE_CHECKING:
    from pathlib import Path

    from checks.catalogue import Catalogue
    from checks.cli._shared import Workspace
    from checks.journal import Journal
    from checks.model import Runbook
    from checks.site.publish import Published

_SANDBOX = "sandbox"


def publish(
    no_run: Annotated[bool, typer.Option("--no-run", help="Run nothing; show what the journal holds.")] = False,
    due: Annotated[bool, typer.Option("--due", help="Run only what its schedule says is due.")] = False,
    fresh_enough: FreshOption = False,
    to: ToOption = None,
    environment: EnvironmentOption = None,
    jobs: Annotated[
        int | None, typer.Option("--jobs", "-j", min=1, help="Runs at once; default: one a processor.", show_default=False)
    ] = None,
    stay: Annotated[bool, typer.Option("--follow", help="Stay, and publish again when there is something new.")] = False,
    serve: Annotated[bool, typer.Option("--serve", help="Serve the site afterwards, until Ctrl-C.")] = False,
    port: PortOption = None,
    rollback: Annotated[
        bool, typer.Option("--rollback", help="Build nothing; show the publication before the current one again.")
    ] = False,
    root: RootOption = None,
) -> None:
    """Run every runbook, build the site from the journal, and swap it in as one; print how the systems are and where to look.

    In the environment `sandbox` the stand-ins are started where none run, and ended when the command ends. Runs execute
    read steps only. The exit status says whether the site was published, not how the systems are: 0 published,
    whatever it shows; 65 the catalogue or a page is broken; 75 another publisher is at work; 77 a newer publication was
    shown meanwhile, or there is none to go back to. What was published before stays until the new site is whole.
    `proofbook status` is the command that exits 2 when something is critical.

    With `--follow` it stays, and publishes again within seconds of each run, sample, signature or edited text, until Ctrl-C;
    what runs meanwhile is up to others, such as `proofbook schedule run`.

    Example: `proofbook publish --serve`
    Example: `proofbook publish --no-run --follow`
    """
    import signal

    from checks.cli._following import follow
    from checks.errors import UsageError
    from checks.journal import open_journal
    from checks.site.kept import text_key

    if rollback:
        if no_run or due:
            raise UsageError("going back runs and builds nothing", where="--rollback", remedy="give --rollback alone")
        _roll_back((to or root_of(root) / "public").absolute(), port if serve else None, serve=serve)
        return
    if no_run and due:
        raise UsageError("nothing cannot be due", where="--no-run --due", remedy="give one of the two")
    if stay and serve:
        remedy = "follow here, and serve it by another command: proofbook serve"
        raise UsageError("one command does not serve and follow", where="--follow --serve", remedy=remedy)
    # Asked to end, it ends what it started, as it does on Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    work = workspace(root, environment)
    catalogue = work.catalogue
    catalogue.require_inhabited(work.environment)
    folder = (to or catalogue.root / "public").absolute()
    url, state = catalogue.settings.journal, catalogue.settings.state
    with _stand_ins(work, wanted=not no_run) as filled, open_journal(url, state=state) as journal:
        if not no_run:
            _run(work, journal, filled, jobs, due=due, fresh_enough=fresh_enough)
        _print(_published(work, journal, folder))
        if serve:
            until_stopped(folder, port)
        if stay:
            say("following the journal and the text; press Ctrl-C to stop")
            follow(
                lambda: (journal.last_written(), text_key(workspace(root, environment).catalogue)),
                lambda: _published(workspace(root, environment), journal, folder),
            )


def _published(work: Workspace, journal: Journal, folder: Path) -> Published:
    from checks.respond import archive
    from checks.site.publish import publish as publish_site

    now = datetime.now(UTC)
    archive.freeze(work.catalogue, journal, work.environment, now)
    return publish_site(work.catalogue, journal, folder, now, environment=work.environment)


def _roll_back(folder: Path, port: int | None, *, serve: bool) -> None:
    from checks.site.publish import roll_back

    number, index = roll_back(folder)
    print(f"publication {number} is shown again")
    print(index, flush=True)
    if serve:
        until_stopped(folder, port)


@contextmanager
def _stand_ins(work: Workspace, *, wanted: bool) -> Iterator[Mapping[str, str]]:
    """The variables to run with; starts the stand-ins of the catalogue's systems where none run, and ends what it started."""
    ours = _with_stand_in(work.catalogue) if wanted and work.environment == _SANDBOX and not work.variables else []
    if not ours:
        yield work.variables
        return
    from checks import sandbox

    state = work.catalogue.settings.state
    say(f"starting the sandbox: {', '.join(ours)}")
    try:
        for standing in sandbox.up(state, ours).values():
            if standing.reason:
                say(f"{standing.system} did not come up: {standing.reason}")
        yield variables(state, _SANDBOX)
    finally:
        sandbox.down(state)


def _with_stand_in(catalogue: Catalogue) -> list[str]:
    from checks import sandbox

    return [name for name in catalogue.systems if name in sandbox.SYSTEMS]


def _run(
    work: Workspace, journal: Journal, filled: Mapping[str, str], jobs: int | None, *, due: bool, fresh_enough: bool
) -> None:
    import os

    from checks.cli.run import decided, run_decided
    from checks.model import Trigger
    from checks.run import selection

    now = datetime.now(UTC)
    prepared = selection.prepare_all(
        _due(work, journal) if due else _all(work),
        work.catalogue,
        environment=work.environment,
        variables=filled,
        parameters={},
        trigger=Trigger.PUBLISH,
        now=now,
        asked=selection.Asked.BY_NAME,
    )
    decisions = decided(prepared, journal, now, fresh_enough=fresh_enough, asked="asked for")
    running = sum(one.reused is None for one in decisions)
    if not prepared:
        say("no runbook is due" if due else "no runbook can run here")
        return
    fresh = f", {len(decisions) - running} are fresh enough" if fresh_enough else ""
    say(f"running {running} runbook{'' if running == 1 else 's'} in {work.environment}{fresh}")
    run_decided(decisions, journal, jobs or os.cpu_count() or 1)


def _all(work: Workspace) -> list[Runbook]:
    from checks.schedule import runbooks_here

    runnable = []
    for runbook in runbooks_here(work.catalogue, work.environment):
        needed = [name for name, parameter in runbook.parameters.items() if parameter.default is None]
        if needed:
            say(f"left out {runbook.slug}: it needs --param {needed[0]}=…; run it by proofbook run")
        else:
            runnable.append(runbook)
    return runnable


def _due(work: Workspace, journal: Journal) -> list[Runbook]:
    from checks.schedule import claim_due

    slots = claim_due(work.catalogue, journal, work.environment, datetime.now(UTC))
    return [work.catalogue.runbook(slot.runbook) for slot in slots]


def _print(published: Published) -> None:
    from checks.cli._tables import print_table
    from checks.site.views import badge
    from checks.site.words import age

    now = published.report.now
    rows = [
        (
            badge(report).label,
            report.title,
            f"{report.ok_count} / {report.total}",
            age(report.newest_at, now) if report.newest_at else "never",
            report.needs[0].title + ": " + report.needs[0].reason if report.needs else "",
        )
        for report in published.report.systems
    ]
    styles = {"ok": "green", "warning": "yellow", "critical": "bold red", "unknown": "magenta", "stale": "dim"}
    print_table(("status", "system", "checks ok", "measured", "what needs someone first"), rows, styles)
    for address in published.gone:
        say(f"{address} is gone, and links to it lead nowhere; name where it went under redirects: in mkdocs.yml")
    pages = f"{published.pages} pages with figures, {published.evidence} of evidence, {published.rewritten} of them written anew"
    print(f"\npublication {published.number}, {pages}")
    print(published.index, flush=True)
