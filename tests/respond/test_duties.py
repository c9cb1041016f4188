from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from checks.catalogue import Catalogue, load
from checks.errors import DataError, Refused
from checks.journal import Journal
from checks.journal.duties import SIGN_REFUSED, SIGNED, SignOff
from checks.model import IncidentStatus
from checks.respond import checklists, incidents
from tests.respond.terminal import Terminal
from tests.site.history import record
from tests.site.people import NAME

NOW = datetime(2024, 11, 12, 10, 42, 10, tzinfo=UTC)


@pytest.fixture
def sign(catalogue: Catalogue, journal: Journal) -> Callable[..., SignOff]:
    """Signs as the baker at a terminal."""

    def given(slug: str, **how: object) -> SignOff:
        usual = {"environment": "staging", "actor": "baker", "at_a_terminal": True, "now": NOW}
        return checklists.sign(catalogue, journal, slug, **{**usual, **how})  # type: ignore[arg-type]  # each test names what it gives

    return given


def ticked(catalogue: Catalogue, journal: Journal, now: datetime = NOW) -> dict[str, bool]:
    """Which items are ticked."""
    return {line.item.name: line.ticked for line in checklists.lines(catalogue, journal, "shop", "staging", now)}


def test_a_word_ticks_until_it_ends(catalogue: Catalogue, journal: Journal, sign: Callable[..., SignOff]) -> None:
    """A sign-off ticks its item from when it is given until it ends, in its environment, and no other item."""
    assert sign("shop/bread", lasts=timedelta(days=2), note="smelled it").until == NOW + timedelta(days=2)
    assert ticked(catalogue, journal)["bread"] is True
    assert ticked(catalogue, journal)["oven"] is False
    assert ticked(catalogue, journal, NOW + timedelta(days=2))["bread"] is False
    (event,) = journal.events(kind=SIGNED)
    assert (event.actor, event.subject, event.detail["note"]) == ("baker", "shop/bread", "smelled it")
    elsewhere = checklists.lines(catalogue, journal, "shop", "production", NOW)
    assert not any(line.ticked for line in elsewhere)


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"in_the_name_of": "miller"}, "nobody signs in another's name"),
        ({"at_a_terminal": False}, "a sign-off needs a person at a terminal"),
        ({"until": NOW}, "expired before it is given"),
        ({"lasts": timedelta(days=8)}, "does not hold so long"),
    ],
    ids=["another's name", "a pipe", "expired", "too long"],
)
def test_56_a_word_that_is_not_yours_or_not_valid_is_refused(
    catalogue: Catalogue, journal: Journal, sign: Callable[..., SignOff], how: dict[str, object], said: str
) -> None:
    """In another's name, from a pipe, already ended or for too long: refused, journaled as refused, and nothing is ticked."""
    with pytest.raises(Refused, match=said):
        sign("shop/bread", **how)
    assert journal.events(kind=SIGNED) == []
    (event,) = journal.events(kind=SIGN_REFUSED)
    assert (event.subject, event.actor) == ("shop/bread", "baker")
    assert ticked(catalogue, journal)["bread"] is False


@pytest.mark.parametrize("value", [12.4, "no answer", None], ids=["failing", "unmeasured", "expired"])
def test_56_nobody_signs_against_evidence(
    catalogue: Catalogue, journal: Journal, sign: Callable[..., SignOff], value: float | str | None
) -> None:
    """An item that a measurement speaks against, or that is too old, cannot be signed well; one that is well can."""
    at = NOW - timedelta(hours=3) if value is None else NOW
    record(catalogue, journal, at, {"error-rate": 0.4 if value is None else value}, run_id="01A")
    with pytest.raises(Refused, match="evidence speaks against it"):
        sign("shop/error-rate")
    record(catalogue, journal, NOW, {"error-rate": 0.4}, run_id="01B")
    assert sign("shop/error-rate").actor == "baker"


def test_an_unknown_item_names_those_there_are(sign: Callable[..., SignOff]) -> None:
    """A mistyped item is answered with the items that there are."""
    with pytest.raises(DataError, match="there is no item"):
        sign("shop/bred")


def test_an_incident_goes_from_open_to_resolved(catalogue: Catalogue, journal: Journal) -> None:
    """Opened, acknowledged and resolved it has its times in the page and its events in the journal; the text stays."""
    path = incidents.open_incident(
        catalogue,
        journal,
        "The {{ oven }} is: cold",
        system="shop",
        severity="P1",
        actor="baker",
        now=NOW,
        runbook="shop/morning",
    )
    assert path.name == "2024-11-12-the-oven-is-cold.md"
    path.write_text(path.read_text() + "\nAnd this is ours.\n")
    name = path.stem
    for minutes, step in ((5, incidents.acknowledge), (50, incidents.resolve)):
        step(load(catalogue.root), journal, name, actor="miller", now=NOW + timedelta(minutes=minutes), said="on it")
    found = load(catalogue.root).incident(name)
    assert (found.status, found.title) == (IncidentStatus.RESOLVED, "The {{ oven }} is: cold")
    assert (found.acknowledged, found.resolved) == (NOW + timedelta(minutes=5), NOW + timedelta(minutes=50))
    assert path.read_text().endswith("And this is ours.\n")
    kinds = [event.kind for event in journal.events(subject=f"incident/{name}")]
    assert kinds == ["incident-resolved", "incident-acknowledged", "incident-opened"]


def test_steps_are_taken_once(catalogue: Catalogue, journal: Journal) -> None:
    """What is acknowledged is not acknowledged again, nor resolved twice; what nobody took up is taken up by its end."""
    with pytest.raises(Refused, match="acknowledged already"):
        incidents.acknowledge(catalogue, journal, NAME, actor="baker", now=NOW)
    incidents.resolve(catalogue, journal, NAME, actor="baker", now=NOW)
    with pytest.raises(Refused, match="resolved already"):
        incidents.resolve(load(catalogue.root), journal, NAME, actor="baker", now=NOW)
    path = incidents.open_incident(catalogue, journal, "Mice", system="shop", severity="P2", actor="baker", now=NOW)
    incidents.resolve(load(catalogue.root), journal, path.stem, actor="baker", now=NOW)
    assert load(catalogue.root).incident(path.stem).acknowledged == NOW


def test_what_is_not_journaled_is_not_written(catalogue: Catalogue) -> None:
    """Where the journal does not take the event, the page is as it was: the two never tell different stories."""

    class Away:
        def record_event(self, *_: object) -> None:
            raise OSError("away")

    before = catalogue.incidents[NAME].path.read_text()
    with pytest.raises(OSError, match="away"):
        incidents.resolve(catalogue, Away(), NAME, actor="baker", now=NOW)
    with pytest.raises(OSError, match="away"):
        incidents.open_incident(catalogue, Away(), "Mice", system="shop", severity="P2", actor="baker", now=NOW)
    assert catalogue.incidents[NAME].path.read_text() == before
    assert list((catalogue.root / "docs/incidents").glob("*mice*")) == []


def test_a_severity_that_is_not_declared_is_refused(catalogue: Catalogue, journal: Journal) -> None:
    """An incident of a severity that its system does not know is not opened; the answer lists those there are."""
    with pytest.raises(DataError, match="has no severity `P7`"):
        incidents.open_incident(catalogue, journal, "Mice", system="shop", severity="P7", actor="baker", now=NOW)


def test_the_command_signs_as_its_account(catalogue: Catalogue) -> None:
    """At a real terminal the word is the account's, whatever LOGNAME and USER claim."""
    variables = {"LOGNAME": "miller", "USER": "miller"}
    asked = ("checklist", "sign", "shop", "bread", "--for", "2d", "--root", str(catalogue.root))
    with Terminal(*asked, variables=variables) as terminal:
        terminal.expect("signed shop/bread until")
        assert "miller" not in terminal.seen
