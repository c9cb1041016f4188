"""Which runbooks a command means, and their runs made ready."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from checks.catalogue import Catalogue
from checks.errors import DataError
from checks.model import Runbook, Trigger
from checks.run.execution import Prepared, prepare


def here(catalogue: Catalogue, environment: str, system: str | None = None) -> list[Runbook]:
    """The runbooks that may run in an environment, in the order of their slugs.

    Raises:
        DataError: there is no such system.

    """
    books = catalogue.runbooks.values() if system is None else catalogue.runbooks_of(catalogue.system(system).name)
    return [
        book
        for book in books
        if environment in catalogue.systems[book.system].environments
        and (not book.environments or environment in book.environments)
    ]


def prepare_named(
    slugs: Iterable[str],
    catalogue: Catalogue,
    *,
    environment: str,
    variables: Mapping[str, str],
    parameters: Mapping[str, object],
    trigger: Trigger,
    now: datetime,
) -> list[Prepared]:
    """Make ready the runs of runbooks that a person named: each must exist, may run here, and take every parameter.

    Raises:
        DataError: one of them cannot be run like this; then none is.

    """
    books = [catalogue.runbook(slug) for slug in dict.fromkeys(slugs)]
    return [
        prepare(book, catalogue, environment=environment, variables=variables, parameters=parameters, trigger=trigger, now=now)
        for book in books
    ]


def prepare_all(
    books: Iterable[Runbook],
    catalogue: Catalogue,
    *,
    environment: str,
    variables: Mapping[str, str],
    parameters: Mapping[str, object],
    trigger: Trigger,
    now: datetime,
) -> list[Prepared]:
    """Make ready the runs of whatever a rule selected; each takes those of the parameters that it declares.

    One that needs a value nobody gave is made ready to fail: it must be seen, not left out.

    Raises:
        DataError: a parameter is declared by none of them.

    """
    chosen = list(books)
    declared = {name for book in chosen for name in book.parameters}
    for name in parameters:
        if name not in declared:
            raise DataError(
                f"no selected runbook has a parameter `{name}`",
                expected="one of " + ", ".join(sorted(declared)) if declared else "no parameter at all",
                remedy="leave it out",
            )
    return [
        prepare(
            book,
            catalogue,
            environment=environment,
            variables=variables,
            parameters={name: value for name, value in parameters.items() if name in book.parameters},
            trigger=trigger,
            now=now,
            refuse=False,
        )
        for book in chosen
    ]
