from __future__ import annotations

import gzip
import json
import os
import threading
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checks.model import Observation
from checks.probes._log_files import Budget, lines_from_the_end
from tests.probes.conftest import NOW, measured, reason_of, value_of


def entry(ago: float, **fields: Any) -> str:
    """A JSON line of some seconds ago."""
    at = NOW - timedelta(seconds=ago)
    return json.dumps({"ts": at.isoformat().replace("+00:00", "Z"), "level": "INFO", "status": 200, **fields})


def plain(ago: float, text: str) -> str:
    """A plain line of some seconds ago."""
    return f"{(NOW - timedelta(seconds=ago)).isoformat(sep=' ', timespec='milliseconds').replace('+00:00', '')} {text}"


def written(path: Path, lines: Iterable[str], end: str = "\n") -> Path:
    """A log of these lines; a rotated one bears the time of its last line."""
    data = ("\n".join(lines) + end).encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def aged(path: Path, ago: float) -> None:
    """Set when a file was last written, in seconds ago."""
    os.utime(path, (NOW.timestamp() - ago, NOW.timestamp() - ago))


def log(path: Path, **options: Any) -> dict[str, Any]:
    """A declared log probe over one hour."""
    return {"kind": "log", "path": str(path), "window": "1h", **options}


@pytest.fixture
def requests(tmp_path: Path) -> Path:
    """A log of 100 requests in the last 50 minutes and 20 before that; every tenth failed, each took 10 ms more."""
    old = [entry(7200 - number, status=500, duration_ms=9999) for number in range(20)]
    new = [entry(3000 - 30 * number, status=500 if number % 10 == 0 else 200, duration_ms=10 * number) for number in range(100)]
    return written(tmp_path / "requests.log", [*old, *new])


@pytest.mark.parametrize(
    ("options", "unit", "value"),
    [
        ({}, "requests", 100),
        ({"where": {"status": 500}}, "", 10),
        ({"where": {"status": "500"}}, "", 10),
        ({"where": {"status": [200, 500]}}, "", 100),
        ({"where": {"status": 500, "level": "ERROR"}}, "", 0),
        ({"match": '"status": 5\\d\\d'}, "", 10),
        ({"measure": "per-minute"}, "/min", 100 / 60),
        ({"measure": "per-minute"}, "requests/h", 100),
        ({"measure": "ratio", "where": {"status": 500}}, "%", 10),
        ({"measure": "ratio", "where": {"status": 500}, "of": {"status": [500, 404]}}, "%", 100),
        ({"measure": "ratio", "where": {"status": 200}, "of": {"status": [500]}}, "%", 0),
        ({"measure": "max", "field": "duration_ms"}, "ms", 990),
        ({"measure": "median", "field": "duration_ms"}, "ms", 495),
        ({"measure": "p95", "field": "duration_ms"}, "ms", 940.5),
        ({"measure": "mean", "field": "duration_ms", "where": {"status": 500}}, "ms", 450),
        ({"measure": "count", "window": "601s"}, "", 20),
        ({"measure": "count", "window": "3h"}, "", 120),
    ],
)
def test_the_window_is_measured(requests: Path, options: dict[str, Any], unit: str, value: float) -> None:
    """Lines are counted, compared and summarised as declared, those in the window only."""
    assert value_of(log(requests, **options), unit) == pytest.approx(value)


def test_detail_and_source_say_how_much_was_read(requests: Path) -> None:
    """The observation says how many of how many lines, of which file and window."""
    seen = measured(log(requests, measure="ratio", where={"status": 500}), "%")
    assert isinstance(seen, Observation)
    assert (seen.detail, seen.source) == ("10 of 100 lines", f"{requests}, last 1 h")


@pytest.mark.parametrize(("ago", "counted"), [(3600.001, 0), (3600, 0), (3599.999, 1), (0, 1), (-0.001, 0)])
def test_the_window_ends_now_and_leaves_its_beginning_out(tmp_path: Path, ago: float, counted: int) -> None:
    """A window holds what is younger than its length, up to and including now."""
    assert value_of(log(written(tmp_path / "a.log", [entry(ago)]))) == counted


def test_a_log_younger_than_the_window_says_so(tmp_path: Path) -> None:
    """A count over a window that the log does not cover is given with how far the log reaches."""
    seen = measured(log(written(tmp_path / "a.log", [entry(600), entry(10)])))
    assert isinstance(seen, Observation)
    assert (seen.value, seen.detail) == (2, "2 of 2 lines; the log begins 10 min ago")


def test_lines_of_the_future_are_left_out_and_named(tmp_path: Path) -> None:
    """A line dated ahead of now is not counted, and the detail tells."""
    seen = measured(log(written(tmp_path / "a.log", [entry(9000), entry(10), entry(-86400)])))
    assert isinstance(seen, Observation)
    assert (seen.value, seen.detail) == (1, "1 of 1 lines; 1 dated in the future left out")


@pytest.mark.parametrize(
    "stamp",
    [
        "2026-01-31T11:59:00Z",
        "2026-01-31T11:59:00.123456789Z",
        "2026-01-31T12:59:00+01:00",
        "2026-01-31 06:59:00,5 -0500",
        "2026-01-31 11:59:00",
        "[2026-01-31 11:59:00.1] [notice]",
        "INFO 2026-01-31T11:59:00+00:00",
        "<6>1 2026-01-31T11:59:00Z host app",
    ],
)
def test_plain_lines_bear_iso_times(tmp_path: Path, stamp: str) -> None:
    """ISO times with any separator, fraction and zone are read; without a zone they are UTC."""
    lines = [f"{stamp} error: disk", f"{stamp} fine"]
    assert value_of(log(written(tmp_path / "a.log", lines), window="2m", match="error")) == 1
    assert value_of(log(written(tmp_path / "a.log", lines), window="30s", match="error")) == 0


@pytest.mark.parametrize("ts", ["2026-01-31T11:59:00Z", "2026-01-31T12:59:00.5+01:00", 1769860740, 1769860740.25, 1769860740250])
def test_json_lines_bear_rfc_3339_or_epoch_times(tmp_path: Path, ts: object) -> None:
    """The declared field's time is read as text, seconds or milliseconds."""
    path = written(tmp_path / "a.log", [json.dumps({"at": ts, "level": "ERROR"})])
    assert value_of(log(path, window="2m", timestamp="at", where={"level": "ERROR"})) == 1
    assert value_of(log(path, window="30s", timestamp="at", where={"level": "ERROR"})) == 0


def test_a_trace_belongs_to_the_line_before_it(tmp_path: Path) -> None:
    """Lines without a time are searched with the plain line that they follow, and do not count by themselves."""
    lines = [
        plain(60, "ERROR failed"),
        "Traceback:",
        "  ValueError: fatal",
        plain(50, "fine"),
        plain(40, "ERROR other"),
        "fatal too",
    ]
    for name in ("a.log", "b.log.1.gz"):
        path = written(tmp_path / name, lines)
        if path.suffix == ".gz":
            path = written(tmp_path / "b.log", [])
            aged(tmp_path / name, 10)
        assert value_of(log(path, match="fatal")) == 2
        assert value_of(log(path, match="fatal", measure="ratio"), "%") == pytest.approx(200 / 3)


def test_torn_and_foreign_lines_are_left_out_and_counted(tmp_path: Path) -> None:
    """Half a JSON line, invalid UTF-8, NUL bytes and empty lines do no harm, and the detail tells what had no time."""
    path = tmp_path / "a.log"
    good = entry(20, status=500).encode()
    path.write_bytes(
        b"\n".join([entry(9000).encode(), good, b"\xff\xfe\x00 junk", b"", b"[1, 2]", b"{}", entry(10).encode(), good[:30]])
    )
    seen = measured(log(path, measure="ratio", where={"status": 500}), "%")
    assert isinstance(seen, Observation)
    assert (seen.value, seen.detail) == (50, "1 of 2 lines; 4 without a time left out")


def test_invalid_utf_8_within_a_line_keeps_the_line(tmp_path: Path) -> None:
    """A line with a broken character still counts."""
    path = tmp_path / "a.log"
    path.write_bytes(plain(5, "error ").encode() + b"\xff\xfe\n")
    assert value_of(log(path, match="error")) == 1


def test_a_last_line_without_its_newline_counts(tmp_path: Path) -> None:
    """A whole line at the end of the file counts though no newline follows."""
    assert value_of(log(written(tmp_path / "a.log", [entry(20), entry(10)], end=""))) == 2


def test_rotated_siblings_are_read_while_the_window_reaches_them(tmp_path: Path) -> None:
    """Numbered and gzipped siblings are read as far back as needed, each once, and older ones are not opened."""
    path = written(tmp_path / "app.log", [entry(100), entry(50)])
    aged(written(tmp_path / "app.log.1", [entry(1000), entry(500)]), 500)
    aged(written(tmp_path / "app.log.2.gz", [entry(3000), entry(2000)]), 2000)
    aged(written(tmp_path / "app.log.2", [entry(3000), entry(2000)]), 2000)
    aged(written(tmp_path / "app.log.3.gz", [entry(5000), entry(3500)]), 3500)
    (tmp_path / "app.log.4.gz").write_bytes(b"not gzip at all")
    aged(tmp_path / "app.log.4.gz", 9000)
    written(tmp_path / "app.log.bak", [entry(5)])
    written(tmp_path / "other-app.log.1", [entry(5)])
    seen = measured(log(path))
    assert isinstance(seen, Observation), seen
    assert (seen.value, seen.detail) == (7, "7 of 7 lines")
    assert value_of(log(path, window="10m")) == 3


def test_dated_siblings_are_read_newest_first(tmp_path: Path) -> None:
    """Siblings named by date are read as far back as needed."""
    path = written(tmp_path / "app.log", [entry(50)])
    aged(written(tmp_path / "app.log-20260131", [entry(1000)]), 1000)
    aged(written(tmp_path / "app.log-20260130.gz", [entry(3000)]), 3000)
    assert value_of(log(path)) == 3


def test_a_log_that_was_just_rotated_is_complete(tmp_path: Path) -> None:
    """Right after a rotation the new, empty log and its sibling together give the count."""
    path = written(tmp_path / "app.log", [], end="")
    aged(written(tmp_path / "app.log.1", [entry(100), entry(50)]), 50)
    assert value_of(log(path)) == 2


def test_a_file_under_two_names_is_read_once(tmp_path: Path) -> None:
    """While a rotation has linked the log to its new name and not yet replaced it, its lines count once."""
    path = written(tmp_path / "app.log", [entry(100), entry(50)])
    os.link(path, tmp_path / "app.log.1")
    assert value_of(log(path)) == 2


def test_a_broken_sibling_within_the_window_is_unknown(tmp_path: Path) -> None:
    """A count that would miss what a damaged file holds is no count."""
    path = written(tmp_path / "app.log", [entry(50)])
    written(tmp_path / "app.log.1.gz", [entry(3000 - number) for number in range(500)])
    whole = (tmp_path / "app.log.1.gz").read_bytes()
    for damaged in (whole[: len(whole) // 2], b"not gzip", whole[:40] + b"\xff" * 40 + whole[80:]):
        (tmp_path / "app.log.1.gz").write_bytes(damaged)
        aged(tmp_path / "app.log.1.gz", 100)
        assert "app.log.1.gz is not whole" in reason_of(log(path))


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"measure": "ratio", "window": "1s"}, "no line to take a share of"),
        ({"measure": "p95", "field": "duration_ms", "window": "1s"}, "no line has a number in the field duration_ms"),
        ({"measure": "p95", "field": "absent"}, "no line has a number in the field absent"),
        ({"measure": "p95"}, "needs a `field:`"),
        ({"measure": "ratio", "needs": 101}, "only 100 lines in"),
        ({"measure": "ratio", "of": {"status": 500}, "needs": 11}, "only 10 lines in"),
        ({"measure": "p95", "field": "duration_ms", "where": {"status": 500}, "needs": 11}, "only 10 lines in"),
        ({"measure": "count", "needs": 101}, "only 100 lines in"),
        ({"timestamp": "time"}, "no line of"),
    ],
)
def test_too_little_to_go_by_is_unknown(requests: Path, options: dict[str, Any], reason: str) -> None:
    """No lines, fewer than needed, or none with the field or the time is unknown, never zero."""
    assert reason in reason_of(log(requests, **options), "" if options.get("measure", "count") == "count" else "%")


def test_fields_of_plain_lines_cannot_be_looked_up(tmp_path: Path) -> None:
    """A condition on fields is not silently false for a log that has none."""
    path = written(tmp_path / "a.log", [plain(5, "level=ERROR")])
    assert "are not JSON, so they have no field level" in reason_of(log(path, where={"level": "ERROR"}))


def test_a_log_that_is_not_there_is_unknown(tmp_path: Path) -> None:
    """A missing log is not an empty one; an empty one has no lines; a pipe is never waited for."""
    assert reason_of(log(tmp_path / "no.log")) == f"the log {tmp_path / 'no.log'} does not exist"
    assert "no regular file" in reason_of(log(tmp_path))
    os.mkfifo(tmp_path / "pipe")
    assert "no regular file" in reason_of(log(tmp_path / "pipe"))
    (tmp_path / "empty.log").touch()
    assert value_of(log(tmp_path / "empty.log")) == 0


def test_one_line_with_a_wrong_date_does_not_end_the_reading(tmp_path: Path) -> None:
    """Lines out of order are all counted."""
    lines = [entry(9000), entry(100), entry(1_000_000), entry(50), entry(60), entry(70)]
    assert value_of(log(written(tmp_path / "a.log", lines))) == 4


def test_a_huge_file_is_read_from_its_end_only(tmp_path: Path) -> None:
    """A sparse 20 GB file with a few lines at its end is measured at once."""
    path = tmp_path / "huge.log"
    with path.open("wb") as file:
        file.seek(20_000_000_000)
        file.write(("\n" + "\n".join([*(entry(9000 - number) for number in range(200)), entry(9), entry(8)]) + "\n").encode())
    started = time.monotonic()
    assert value_of(log(path)) == 2
    assert time.monotonic() - started < 2


def test_a_line_without_end_is_refused(tmp_path: Path) -> None:
    """A line of more than 10 MB is not held in memory."""
    path = tmp_path / "a.log"
    path.write_bytes(b"x" * 12_000_000)
    assert "a line is longer than 10 MB" in reason_of(log(path))


def test_a_log_is_measured_while_it_is_written_and_rotated(tmp_path: Path) -> None:
    """Each reading counts every line written before it began, none twice, while a writer appends and rotates."""
    path = tmp_path / "app.log"
    written_lines, stop = [0], threading.Event()

    def write() -> None:
        file = path.open("ab", buffering=0)
        while not stop.is_set():
            line = json.dumps({"ts": datetime.now(UTC).isoformat(), "n": written_lines[0]}).encode() + b"\n"
            file.write(line[:20])
            file.write(line[20:])
            written_lines[0] += 1
            if written_lines[0] % 150 == 0:
                # As a logger does: the new file is there before anyone misses it.
                fresh = tmp_path / "fresh"
                fresh.touch()
                for number in range(20, 0, -1):
                    if (tmp_path / f"app.log.{number}").exists():
                        (tmp_path / f"app.log.{number}").rename(tmp_path / f"app.log.{number + 1}")
                os.link(path, tmp_path / "app.log.1")
                fresh.rename(path)
                file.close()
                file = path.open("ab", buffering=0)
            time.sleep(0.0005)
        file.close()

    path.touch()
    writer = threading.Thread(target=write)
    writer.start()
    try:
        complete = 0
        ends = time.monotonic() + 2
        while time.monotonic() < ends:
            before = written_lines[0]
            seen = measured(log(path), now=datetime.now(UTC) + timedelta(seconds=5))
            after = written_lines[0]
            if isinstance(seen, Observation):
                complete += 1
                assert before <= seen.value <= after + 1
            else:
                assert "rotated while it was read" in seen.reason
        assert complete > 3
    finally:
        stop.set()
        writer.join()


@given(st.lists(st.binary(max_size=40).map(lambda line: line.replace(b"\n", b" ")), max_size=50), st.integers(1, 64))
def test_lines_from_the_end_are_the_lines(tmp_path_factory: pytest.TempPathFactory, lines: list[bytes], block: int) -> None:
    """Reading backwards in blocks of any size gives exactly the file's lines, reversed."""
    from checks.probes import _log_files

    path = tmp_path_factory.mktemp("log") / "a.log"
    path.write_bytes(b"\n".join(lines))
    descriptor = os.open(path, os.O_RDONLY)
    patch = pytest.MonkeyPatch()
    patch.setattr(_log_files, "_BLOCK", block)
    try:
        found = list(lines_from_the_end(descriptor, Budget(10**6, time.monotonic() + 60)))
    finally:
        patch.undo()
        os.close(descriptor)
    assert found[::-1] == b"\n".join(lines).split(b"\n")


@pytest.mark.parametrize("write", [lambda path: os.truncate(path, 0), lambda path: path.write_bytes(b"")])
def test_a_log_cut_while_it_is_read_is_unknown(tmp_path: Path, write: Callable[[Path], object]) -> None:
    """A file that shrinks under the reader is not taken for a shorter log."""
    from checks.probes._log_files import LogUnreadable

    path = written(tmp_path / "a.log", [entry(number) for number in range(20_000)])
    descriptor = os.open(path, os.O_RDONLY)
    lines = lines_from_the_end(descriptor, Budget(10**9, time.monotonic() + 60))
    next(lines)
    write(path)
    with pytest.raises(LogUnreadable, match="cut while it was read"):
        list(lines)
    os.close(descriptor)
