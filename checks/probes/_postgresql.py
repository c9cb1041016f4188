"""One number from PostgreSQL: a session that may only read, and a statement that ends on the server when its time is over."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from checks.judge import format_value
from checks.model import Observation, Unmeasured
from checks.probes._postgresql_measures import MEASURES, Figure, NoFigure
from checks.probes._rows import value_of
from checks.probes._steps import note
from checks.probes._support import Measuring, clipped, within

if TYPE_CHECKING:
    import psycopg

    from checks.catalogue.probe_kinds import SqlProbe

_READS = ("select", "with", "values", "table")
_GRACE = 1.0
_CANCEL_WITHIN = 2.0
# https://www.postgresql.org/docs/15/errcodes-appendix.html
_WRITES = ("25006", "0A000")
_CONNECTING = re.compile(r"\A(?:connection failed: |connection to server (?:at|on socket) .*? failed: |FATAL:\s+)+")
_LOCKED = "55P03"


@dataclass(slots=True)
class _Session:
    """What is open, so that the thread that waits can end what the one that works hangs in."""

    connection: psycopg.Connection[Any] | None = None


def is_postgresql(database: str) -> bool:
    """Whether a declared database is an address of PostgreSQL, not a path."""
    return database.partition("://")[0].lower() in ("postgresql", "postgres", "postgresql+psycopg") and "://" in database


def named(database: str) -> tuple[str, str]:
    """The database as it may be shown, by host and name, and the password of its address, which may not (or nothing)."""
    from psycopg.conninfo import conninfo_to_dict

    parts = conninfo_to_dict(_plain(database))
    port = f":{parts['port']}" if parts.get("port") else ""
    shown = f"PostgreSQL {parts.get('dbname') or 'database'} on {parts.get('host') or 'the local socket'}{port}"
    return shown, str(parts.get("password") or "")


def ask(database: str, declaration: SqlProbe, shown: str, measuring: Measuring, unit: str) -> Observation | Unmeasured:
    """Measure in a database.

    Args:
        database: its address.
        declaration: what to measure.
        shown: what the database is called in reasons.
        measuring: the measurement that this is for.
        unit: the metric's unit, for a number of a query.

    """
    import psycopg

    seconds = declaration.timeout.total_seconds()
    session = _Session()
    ends = time.monotonic() + seconds
    try:
        return within(seconds + _GRACE, lambda: _measure(database, declaration, ends, session, shown, measuring, unit))
    except TimeoutError:
        _cancel(session)
        return measuring.late(seconds)
    except NoFigure as error:
        return measuring.failed(f"{error} in {shown}")
    except psycopg.errors.QueryCanceled as error:
        return measuring.late(seconds) if "statement timeout" in str(error) else measuring.failed(f"{shown} cancelled the query")
    except psycopg.Error as error:
        return measuring.failed(_why(error, shown, connected=session.connection is not None))


def _measure(
    database: str, declaration: SqlProbe, ends: float, session: _Session, shown: str, measuring: Measuring, unit: str
) -> Observation | Unmeasured:
    import psycopg

    # libpq counts whole seconds, two at least; the thread's deadline is the exact one.
    patience = max(2, int(ends - time.monotonic()) + 1)
    connection = psycopg.connect(_plain(database), connect_timeout=patience, application_name="proofbook", autocommit=True)
    session.connection = connection
    note(f"connected to {shown}, version {connection.info.server_version // 10000}")
    with connection:
        left = max(1, int(1000 * (ends - time.monotonic())))
        for name, value in (("statement_timeout", left), ("lock_timeout", 0), ("idle_in_transaction_session_timeout", 2 * left)):
            connection.execute("SELECT set_config(%s, %s, false)", (name, str(value)))
        connection.execute("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY")
        note(f"the session only reads, and a statement ends after {format_value(left, 'ms')}")
        if declaration.measure == "query":
            return _value(connection, declaration, shown, measuring, unit)
        measure: Callable[[psycopg.Connection[Any], float], Figure] = MEASURES[declaration.measure]
        figure = measure(connection, declaration.slower_than.total_seconds())
        return measuring.gave(figure.value, figure.unit, figure.detail, samples=figure.samples)


def _value(
    connection: psycopg.Connection[Any], declaration: SqlProbe, shown: str, measuring: Measuring, unit: str
) -> Observation | Unmeasured:
    from decimal import Decimal

    query = str(declaration.query).strip().rstrip(";")
    if not query.lstrip("( \n\t").lower().startswith(_READS):
        return measuring.failed(f"the query on {shown} was not answered: it may only read")
    with connection.transaction():
        # A cursor is declared of one query that reads, and of nothing else (no COPY, no DO, no second statement); it gives
        # up two rows, however many there are. Asking for binary answers keeps to the protocol of single statements.
        connection.execute(b"DECLARE proofbook NO SCROLL CURSOR FOR " + query.encode(), binary=True)
        cursor = connection.execute("FETCH 2 FROM proofbook", binary=True)
        columns, rows = [described.name for described in cursor.description or ()], cursor.fetchall()
    plain = [[float(value) if isinstance(value, Decimal) else value for value in row] for row in rows]
    return value_of(plain, columns, declaration.column, shown, measuring, unit)


def _cancel(session: _Session) -> None:
    """Tell the server to end what is still running, and leave; it is told on a connection of its own."""
    import psycopg

    connection = session.connection
    if connection is None:
        return

    def end() -> None:
        connection.cancel_safe(timeout=_CANCEL_WITHIN)
        connection.close()

    # Where the server is away there is nothing left to cancel, and the reason is given already.
    with suppress(psycopg.Error, TimeoutError, OSError):
        within(_CANCEL_WITHIN, end)


def _why(error: psycopg.Error, shown: str, *, connected: bool) -> str:
    state = error.sqlstate or ""
    said = clipped(str(error.diag.message_primary or error), 200)
    if not connected:
        # What follows the first line is advice; what stands before the cause is the address again.
        cause = _CONNECTING.sub("", str(error).strip()).partition("\n")[0]
        return f"{shown} cannot be connected to: {clipped(cause, 200)}"
    if state in _WRITES:
        return f"the query on {shown} was not answered: it may only read"
    if state.startswith("57P") or (not state and "connection" in said.lower()):
        return f"{shown} went away while it was asked: {said}"
    if state == _LOCKED:
        return f"{shown} waited for a lock for too long"
    return f"the query on {shown} was not answered: {said}"


def _plain(database: str) -> str:
    # SQLAlchemy writes the driver into the scheme; libpq does not know that.
    return database.replace("postgresql+psycopg://", "postgresql://", 1)
