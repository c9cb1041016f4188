"""Brings a database to the schema that this Proofbook writes."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.schema import CreateIndex, CreateTable

from checks.errors import CannotWrite, DataError
from checks.journal._engine import make_file, missing, reading, require_there, shown, sqlite_file, writing
from checks.journal._rebuild import rebuild
from checks.journal._seals import set_head
from checks.journal._tables import HEAD, KNOWN, metadata

_FOLDER = Path(__file__).parent / "migrations"
_LOCK = 0x70726F6F66  # any fixed number: who migrates a PostgreSQL journal holds it
# As Alembic itself makes it.
_version = sa.Table(
    "alembic_version",
    sa.MetaData(),
    sa.Column("version_num", sa.String(32)),
    sa.PrimaryKeyConstraint("version_num", name="alembic_version_pkc"),
)
_said: dict[str, tuple[str, ...]] = {}


def bring_up_to_date(engine: sa.Engine, *, create: bool) -> None:
    """Make the schema, or move it forward, or refuse to.

    Args:
        engine: where the journal is.
        create: whether an empty database may be made into a journal.

    Raises:
        JournalMissing: the database is empty, and `create` is false.
        DataError: another program's tables are there, or a newer Proofbook's.

    """
    path = sqlite_file(engine)
    if path is not None:
        if create:
            make_file(path)
        else:
            require_there(engine)
    with reading(engine) as connection:
        found = _revision(engine, connection)
    if found == HEAD:
        return
    if found is None and not create:
        raise missing(engine)
    if found is not None and path is not None:
        back_up(path, found)
    with writing(engine) as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
        now = _revision(engine, connection)
        if now == HEAD:
            return  # another process has done it meanwhile
        if now is None:
            make(connection)
            return
        upgrade(connection)
        rebuild(connection)


def _revision(engine: sa.Engine, connection: sa.Connection) -> str | None:
    """The schema's number; ``None`` for an empty database."""
    tables = set(sa.inspect(connection).get_table_names())
    if "alembic_version" not in tables:
        if tables:
            raise DataError(
                "this database belongs to something else",
                where=shown(engine.url),
                expected="an empty database, or a journal of Proofbook",
                found=f"tables {', '.join(sorted(tables)[:5])}",
            )
        return None
    revision = connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar()
    if revision is not None and revision not in KNOWN:
        raise DataError(
            "the journal was written by a newer Proofbook",
            where=shown(engine.url),
            expected=f"schema {HEAD} or older",
            found=f"schema {revision}",
            remedy="upgrade Proofbook (pip install --upgrade proofbook), or point PROOFBOOK_JOURNAL at another journal",
        )
    return None if revision is None else str(revision)


def make(connection: sa.Connection) -> None:
    """Make every table of today's schema in an empty database, inside the connection's transaction.

    It is what the migrations lead to, without the steps between: a test compares the two.
    """
    for statement in _statements(connection.dialect):
        connection.exec_driver_sql(statement)
    connection.execute(sa.insert(_version), {"version_num": HEAD})
    set_head(connection, 0, "")


def _statements(dialect: sa.Dialect) -> tuple[str, ...]:
    """What makes the tables and their indexes; putting it into words takes ten times as long as having it done."""
    if dialect.name not in _said:
        tables = [*metadata.sorted_tables, _version]
        making: list[CreateTable | CreateIndex] = []
        for table in tables:
            for index in table.indexes:
                # What an index leaves out is declared once, for SQLite.
                index.dialect_options[dialect.name]["where"] = index.dialect_options["sqlite"]["where"]
            making += [CreateTable(table), *map(CreateIndex, table.indexes)]
        _said[dialect.name] = tuple(str(one.compile(dialect=dialect)) for one in making)
    return _said[dialect.name]


def upgrade(connection: sa.Connection, revision: str = HEAD) -> None:
    """Run the migrations up to a schema, inside the connection's transaction."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


def back_up(path: Path, revision: str) -> Path:
    """Copy an SQLite journal beside itself, consistently, before its schema changes.

    Raises:
        CannotWrite: the copy cannot be made; the journal is untouched.

    """
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%fZ")
    copy = path.with_name(f"{path.stem}-schema-{revision}-{stamp}{path.suffix}")
    make_file(copy)
    try:
        with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(copy)) as target:
            source.backup(target)
    except sqlite3.Error as error:
        raise CannotWrite("the journal cannot be copied before its migration", where=str(copy), found=str(error)) from error
    return copy
