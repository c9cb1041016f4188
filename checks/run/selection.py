"""Which runbooks a command means, and their runs made ready."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from enum import Enum

from checks.catalogue import Catalogue
from checks.errors import DataError
from checks.model import Runbook, Trigger
from checks.run.ends import Prepared
from checks.run.execution import prepare


class Asked(Enum):
    """How runbooks came to be meant, which says what becomes of parameters that do not fit.

    Those that a person named must each take every parameter that is given, or nothing runs. Of those that a rule selected
    each takes the parameters that it declares, and one that lacks a value is made ready to fail: it must be seen, not left out.
    """

    BY_NAME = "by name"
    BY_RULE = "by rule"


def named(catalogue: Catalogue, slugs: Iterable[str]) -> list[Runbook]:
    """The runbooks of these slugs, each once, in their order.

    Raises:
        DataError: there is no such runbook.

    """
    return [catalogue.runbook(slug) for slug in dict.fromkeys(slugs)]


def here(catalogue: Catalogue, environment: str, system: str | None = None) -> list[Runbook]:
    """The runbooks that may run in an environment, in the order of their slugs.

    Raises:
        DataError: there is no such system.

    """
    wanted = None if system is None else catalogue.system(system).name
    return [book for book in catalogue.runbooks_in(environment) if wanted in (None, book.system)]


def not_here(catalogue: Catalogue, environment: str, system: str | None = None) -> dict[str, str]:
    """Why each runbook that may not run in an environment does not, as a part of a sentence, by its slug."""
    may = {book.slug for book in here(catalogue, environment, system)}
    return {
        book.slug: f"it runs in {' and '.join(book.environments)} only"
        if environment in catalogue.systems[book.system].environments
        else f"its system does not live in {environment}"
        for book in catalogue.runbooks.values()
        if book.slug not in may and system in (None, book.system)
    }


def prepare_all(
    books: Iterable[Runbook],
    catalogue: Catalogue,
    *,
    environment: str,
    variables: Mapping[str, str],
    parameters: Mapping[str, object],
    trigger: Trigger,
    now: datetime,
    asked: Asked = Asked.BY_RULE,
) -> list[Prepared]:
    """Make ready the runs of some runbooks; see `Asked` for what becomes of the parameters.

    Raises:
        DataError: one of them cannot be run like this, and then none is; or a parameter is declared by none of them.

    """
    chosen = list(books)
    if asked is Asked.BY_RULE:
        _require_declared(parameters, chosen)
    return [
        prepare(
            book,
            catalogue,
            environment=environment,
            variables=variables,
            parameters={name: value for name, value in parameters.items() if asked is Asked.BY_NAME or name in book.parameters},
            trigger=trigger,
            now=now,
            refuse=asked is Asked.BY_NAME,
        )
        for book in chosen
    ]


def _require_declared(parameters: Mapping[str, object], books: Iterable[Runbook]) -> None:
    declared = {name for book in books for name in book.parameters}
    for name in parameters:
        if name not in declared:
            raise DataError(
                f"no selected runbook has a parameter `{name}`",
                expected="one of " + ", ".join(sorted(declared)) if declared else "no parameter at all",
                remedy="leave it out",
            )
