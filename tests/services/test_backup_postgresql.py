"""The backup probe on what pg_dump really writes, restored by a real PostgreSQL."""

from __future__ import annotations

import gzip
import os
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from checks.catalogue.environment import Settled
from checks.model import Observation, Unmeasured
from tests.probes import conftest
from tests.services.conftest import Postgresql

pytestmark = pytest.mark.service
Dump = Callable[..., Path]
_NOTES = ["plain", "tab\tand\nnewline", "\\.", "$$", "it's; GRANT ALL", "-- PostgreSQL database dump complete"]


def psql(server: Postgresql, database: str, *statements: str) -> str:
    """Execute statements as the server's owner; gives what they print."""
    argv = ["psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-h", str(server.folder), "-U", "postgres", "-d", database]
    done = subprocess.run(argv, input="\n".join(statements), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture(scope="module")
def shop(postgresql: Postgresql) -> str:
    """The name of a database with 500 orders in two partitions, some odd notes, a function and a role's rights."""
    name = urlsplit(postgresql.new_database()).path.strip("/")
    psql(
        postgresql,
        "postgres",
        "DO $$BEGIN CREATE ROLE shop; EXCEPTION WHEN duplicate_object THEN NULL; END$$;",
        "DO $$BEGIN CREATE ROLE restorer LOGIN CREATEDB; EXCEPTION WHEN duplicate_object THEN NULL; END$$;",
    )
    psql(
        postgresql,
        name,
        "CREATE TABLE orders (id int, at date) PARTITION BY RANGE (id);",
        "CREATE TABLE orders_1 PARTITION OF orders FOR VALUES FROM (0) TO (300);",
        "CREATE TABLE orders_2 PARTITION OF orders FOR VALUES FROM (300) TO (1000);",
        "INSERT INTO orders SELECT n, now() FROM generate_series(1, 500) n;",
        'CREATE TABLE "No tes" (note text);',
        *(f'INSERT INTO "No tes" VALUES ($q${note}$q$);' for note in _NOTES),
        "CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql AS $$ BEGIN\nINSERT INTO orders VALUES (1);\nEND $$;",
        'ALTER TABLE orders OWNER TO shop; GRANT SELECT ON "No tes" TO shop;',
    )
    return name


@pytest.fixture
def dump(postgresql: Postgresql, shop: str, tmp_path: Path) -> Dump:
    """Dumps the shop by pg_dump with some options."""

    def dump(name: str, *options: str) -> Path:
        argv = ["pg_dump", "-h", str(postgresql.folder), "-U", "postgres", *options, shop]
        written = subprocess.run(argv, capture_output=True, check=True).stdout
        path = tmp_path / name
        path.write_bytes(gzip.compress(written) if name.endswith(".gz") else written)
        return path

    return dump


@pytest.fixture
def settled(postgresql: Postgresql, tmp_path: Path) -> Settled:
    """Settings that name the folder and scratch servers: by a role that may create databases, and by others."""
    address = f"?host={postgresql.folder}"
    return conftest.settings(
        {
            "backups": str(tmp_path),
            "scratch": f"postgresql://restorer:s3cr3t@/postgres{address}",
            "by_owner": f"postgresql://postgres@/postgres{address}",
            "by_stranger": f"postgresql://nobody@/postgres{address}",
            "away": "postgresql://restorer@127.0.0.1:1/postgres",
            "mysql": "mysql://localhost/",
        },
        secrets=("s3cr3t",),
    )


def seen(settled: Settled, measure: str, **options: Any) -> Observation | Unmeasured:
    """What measuring gives."""
    if measure == "restored":
        options = {"scratch": "{scratch}", **options}
    probe = {"kind": "backup", "path": "{backups}/*", "measure": measure, **options}
    return conftest.measured(probe, "B" if measure == "bytes" else "rows", settled, datetime.now(UTC))


def scratches(server: Postgresql) -> str:
    """The scratch databases that are left on a server."""
    return psql(server, "postgres", "SELECT datname FROM pg_database WHERE datname LIKE 'proofbook_scratch%';")


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("shop.sql", ()),
        ("shop.sql.gz", ()),
        ("shop.sql.gz", ("--inserts",)),
        ("shop.sql.gz", ("--inserts", "--rows-per-insert=7")),
        ("shop.sql.gz", ("--column-inserts",)),
        ("shop.dump", ("-Fc",)),
        ("shop.dump.gz", ("-Fc", "-Z0")),
    ],
)
@pytest.mark.parametrize("measure", ["rows", "restored"])
def test_the_rows_that_were_dumped_are_counted(
    postgresql: Postgresql, dump: Dump, settled: Settled, name: str, options: tuple[str, ...], measure: str
) -> None:
    """Read or restored, plain, packed or an archive: each row counts once, and nothing is left behind on the server."""
    dump(name, *options)
    tables = {None: 500 + len(_NOTES), "orders_2": 201, "public.No tes": len(_NOTES)}
    if measure == "restored" and options:  # restoring takes a while
        del tables["orders_2"], tables["public.No tes"]
    for table, rows in tables.items():
        observation = seen(settled, measure, table=table)
        assert isinstance(observation, Observation), observation
        assert observation.value == rows
    assert scratches(postgresql) == ""


@pytest.mark.parametrize(("name", "options"), [("shop.sql.gz", ()), ("shop.dump", ("-Fc",))])
def test_a_dump_that_breaks_off_is_unknown(
    postgresql: Postgresql, dump: Dump, settled: Settled, name: str, options: tuple[str, ...]
) -> None:
    """Cut short at several places, read or restored, a dump never gives a number."""
    whole = dump(name, *options).read_bytes()
    for share in (0.3, 0.6, 0.98):
        (settled_path := Path(settled.values["backups"]) / name).write_bytes(whole[: int(len(whole) * share)])
        for measure in ("bytes", "rows", "restored"):
            unmeasured = seen(settled, measure)
            assert isinstance(unmeasured, Unmeasured), (share, measure, unmeasured)
            assert settled_path.name in unmeasured.reason
    assert scratches(postgresql) == ""


def test_a_dump_that_breaks_off_between_statements_is_unknown(postgresql: Postgresql, dump: Dump, settled: Settled) -> None:
    """What psql restores without a word is still not whole without its last line."""
    path = dump("shop.sql")
    text = path.read_text()
    path.write_text(text[: text.index("COPY public.orders_2")])
    unmeasured = seen(settled, "restored")
    assert isinstance(unmeasured, Unmeasured), unmeasured
    assert "it breaks off: it is a dump by pg_dump without its last line" in unmeasured.reason
    assert scratches(postgresql) == ""


@pytest.mark.parametrize(
    "hostile",
    [
        "\\! touch {mark}",
        "SELECT 1 \\! touch {mark}",
        "\\o {mark}",
        "\\connect postgres",
        "SELECT 'touch {mark}' \\g | sh",
        "COPY (SELECT 1) TO PROGRAM 'touch {mark}';",
        "COPY (SELECT 1) TO '{mark}';",
        "\\unrestrict abc\n\\! touch {mark}",
    ],
)
def test_a_hostile_dump_runs_nothing(postgresql: Postgresql, dump: Dump, settled: Settled, tmp_path: Path, hostile: str) -> None:
    """Neither psql nor the server obeys a dump that asks for programs, files or another database."""
    mark = tmp_path.parent / f"{tmp_path.name}-mark"
    path = dump("shop.sql")
    text = path.read_text()
    at = text.index("CREATE TABLE")
    path.write_text(text[:at] + hostile.format(mark=mark) + "\n" + text[at:])
    unmeasured = seen(settled, "restored")
    assert isinstance(unmeasured, Unmeasured), unmeasured
    assert not mark.exists()
    assert scratches(postgresql) == ""


@pytest.mark.parametrize(
    ("scratch", "reason"),
    [
        ("by_owner", "take one that may only create databases"),
        ("by_stranger", 'role "nobody" does not exist'),
        ("away", "onnection refused"),
        ("mysql", "scratch is no address"),
    ],
)
def test_a_scratch_server_that_does_not_fit_is_refused(dump: Dump, settled: Settled, scratch: str, reason: str) -> None:
    """A role that could run programs, one that is not there, and a server that is away are told apart."""
    dump("shop.sql")
    unmeasured = seen(settled, "restored", scratch=f"{{{scratch}}}")
    assert isinstance(unmeasured, Unmeasured), unmeasured
    assert reason in unmeasured.reason


def test_restoring_ends_at_the_deadline(postgresql: Postgresql, dump: Dump, settled: Settled) -> None:
    """A dump that takes for ever is ended, its database is removed, and the password is told nowhere."""
    path = dump("shop.sql")
    text = path.read_text()
    at = text.index("CREATE TABLE")
    path.write_text(text[:at] + "SELECT pg_sleep(60);\n" + text[at:])
    unmeasured = seen(settled, "restored", timeout="2s")
    assert isinstance(unmeasured, Unmeasured), unmeasured
    assert "did not end within 2 s" in unmeasured.reason
    assert "s3cr3t" not in repr(unmeasured)
    assert scratches(postgresql) == ""


def test_without_its_programs_it_is_unknown(dump: Dump, settled: Settled, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where psql or pg_restore is not installed, that is the reason."""
    dump("shop.dump", "-Fc")
    monkeypatch.setenv("PATH", os.devnull)
    for measure, program in (("rows", "pg_restore"), ("restored", "psql")):
        unmeasured = seen(settled, measure)
        assert isinstance(unmeasured, Unmeasured), unmeasured
        assert f"the program {program} cannot be started" in unmeasured.reason
