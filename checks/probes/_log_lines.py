"""What a line of a log says: when, how grave, and its fields, in the formats that servers and programs write."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from enum import Enum
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

_ISO_WITHIN = 80
_ACCESS_WITHIN = 400
_LEVEL_WITHIN = 200
_MESSAGE = 500
# Writers that share a log are out of order by less than this; an hour that a clock repeats is out by more.
_DISORDER = timedelta(minutes=5)

_ISO = re.compile(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(?:[.,](\d{1,9}))?\s?(Z|[+-]\d\d:?\d\d)?")
_ACCESS = re.compile(r"\[(\d\d)/([A-Z][a-z]{2})/(\d{4}):(\d\d:\d\d:\d\d) ([+-]\d{4})\]")
_REQUEST = re.compile(r' "((?:[^"\\]|\\.)*)" (\d{3}) (\d+|-)(?: "((?:[^"\\]|\\.)*)" "((?:[^"\\]|\\.)*)")?')
_NGINX = re.compile(r"(\d{4})/(\d\d)/(\d\d) (\d\d:\d\d:\d\d) \[([a-z]+)\] ")
_PHP = re.compile(r"\[(\d\d)-([A-Z][a-z]{2})-(\d{4}) (\d\d:\d\d:\d\d)(?:\.\d+)?(?: ([A-Za-z][\w/+-]*))?\] ?")
_PHP_LEVEL = re.compile(
    r"(?:PHP )?(Fatal|Parse|Core|Compile|Recoverable fatal|Catchable fatal|Warning|Notice|Deprecated|Strict)\b"
)
_LEVEL = re.compile(r"(?<![\w=.-])(TRACE|DEBUG|INFO|NOTICE|WARN|WARNING|ERROR|CRITICAL|FATAL|ALERT|EMERG|EMERGENCY)(?![\w=.])")
_MONTHS = {
    name: number
    for number, name in enumerate(("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"), start=1)
}
_UUID = re.compile(r"\b[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}\b")
_WITH_DIGIT = re.compile(r"\b[^\W\d]*\d\w*")
_NUMBERS = re.compile(r"[+-]?<n>(?:[.,:/-]<n>)*")


class Order(Enum):
    """In which order lines come: it tells which of two hours is meant that a clock has shown twice."""

    BACKWARDS = "backwards"
    FORWARDS = "forwards"


@dataclass(frozen=True, slots=True)
class Line:
    """A line with a time.

    Attributes:
        fields: what it says by name: a JSON object's members, an access log's request, a ``level``.
        is_json: whether it is a JSON object, which may hold any field.
        message: the line without its time, for JSON the member that holds the message, or the line itself.
        outcome: what tells lines of one message apart though it is a number: a request's status.

    """

    at: datetime
    fields: dict[str, Any]
    is_json: bool
    message: str
    outcome: str = ""


class Lines:
    """Reads the lines of one log, one after the other.

    Args:
        timestamp: the JSON field that holds the time.
        zone: the zone of times that name none.
        message: the JSON field that holds the message.

    """

    def __init__(self, timestamp: str, zone: str = "UTC", message: str = "message") -> None:
        self._timestamp = timestamp
        self._zone: tzinfo = _zone(zone) or UTC
        self._message = message
        self._last: datetime | None = None

    def read(self, line: str, order: Order) -> Line | None:
        """What a line says; ``None`` where it has no time, as the lines of a trace."""
        if line.lstrip().startswith("{"):
            try:
                fields = json.loads(line)
            except (ValueError, RecursionError):
                return None  # torn, or cut off by rotation
            at = _time(fields.get(self._timestamp)) if isinstance(fields, dict) else None
            return self._line(at, fields, True, str(fields.get(self._message) or line), order) if at else None
        return self._nginx(line, order) or self._php(line, order) or self._stamped(line, order)

    def _nginx(self, line: str, order: Order) -> Line | None:
        match = _NGINX.match(line)
        if match is None:
            return None
        year, month, day, clock, level = match.groups()
        return self._line(_time(f"{year}-{month}-{day}T{clock}"), {"level": level.upper()}, False, line[match.end() :], order)

    def _php(self, line: str, order: Order) -> Line | None:
        match = _PHP.match(line)
        if match is None:
            return None
        day, month, year, clock, zone = match.groups()
        at = _time(f"{year}-{_MONTHS.get(month, 0):02}-{day}T{clock}")
        named = _zone(zone) if zone else None
        if zone and named is None:
            return None
        rest = line[match.end() :]
        level = _PHP_LEVEL.match(rest)
        fields = {"level": level.group(1).upper()} if level else {}
        return self._line(at.replace(tzinfo=named) if at and named else at, fields, False, rest, order)

    def _stamped(self, line: str, order: Order) -> Line | None:
        iso = _ISO.search(line, 0, _ISO_WITHIN)
        access = _ACCESS.search(line, 0, _ACCESS_WITHIN) if "[" in line else None
        if access and (iso is None or access.start() < iso.start()):
            return self._access(line, access, order)
        if iso is None:
            return None
        date, clock, fraction, zone = iso.groups()
        level = _LEVEL.search(line, 0, _LEVEL_WITHIN)
        fields = {"level": level.group(1)} if level else {}
        message = f"{line[: iso.start()]}{line[iso.end() :]}"
        return self._line(_time(f"{date}T{clock}.{fraction or 0}{zone or ''}"), fields, False, message, order)

    def _access(self, line: str, match: re.Match[str], order: Order) -> Line | None:
        day, month, year, clock, zone = match.groups()
        at = _time(f"{year}-{_MONTHS.get(month, 0):02}-{day}T{clock}{zone}")
        client = line[: match.start()].split()
        fields: dict[str, Any] = dict(zip(("remote", "user"), (client[0], client[-1]), strict=True)) if client else {}
        request = _REQUEST.match(line, match.end())
        if request is None:
            return self._line(at, fields, False, line[match.end() :], order)
        asked, status, size, referrer, agent = request.groups()
        words = asked.split(" ")
        fields |= {"method": words[0], "path": words[1] if len(words) > 1 else "", "status": int(status)}
        fields |= {"bytes": 0 if size == "-" else int(size), "referrer": referrer or "", "agent": agent or ""}
        return self._line(at, fields, False, f"{fields['method']} {fields['path'].partition('?')[0]}", order, status)

    def _line(
        self, at: datetime | None, fields: dict[str, Any], is_json: bool, message: str, order: Order, outcome: str = ""
    ) -> Line | None:
        if at is None:
            return None
        try:
            settled = self._settled(at, order)
        except (OverflowError, ValueError):
            return None  # the first or the last year of the calendar
        self._last = settled
        return Line(settled, fields, is_json, message, outcome)

    def _settled(self, at: datetime, order: Order) -> datetime:
        """The time in UTC; of an hour that the clock shows twice, the one that fits the line read before."""
        at = at if at.tzinfo else at.replace(tzinfo=self._zone)
        if not isinstance(at.tzinfo, ZoneInfo):
            return at.astimezone(UTC)  # a fixed distance from UTC never repeats an hour
        first, second = (at.replace(fold=fold).astimezone(UTC) for fold in (0, 1))
        if second <= first:
            return first
        if order is Order.BACKWARDS:
            return second if self._last is None or second <= self._last + _DISORDER else first
        return second if self._last is not None and first < self._last - _DISORDER else first

    def begin(self, latest: datetime | None) -> None:
        """Begin with another file; backwards, no line is later than this."""
        self._last = latest


def template(message: str) -> str:
    """A message with what differs from one line to the next (numbers, ids, hexadecimals, addresses) left out."""
    line = message.strip().partition("\n")[0][:_MESSAGE].strip()
    return _NUMBERS.sub("<n>", _WITH_DIGIT.sub(_placeholder, _UUID.sub("<id>", line)))


def _placeholder(match: re.Match[str]) -> str:
    return "<n>" if match.group().isdecimal() else "<id>"


@lru_cache(maxsize=64)
def _zone(name: str) -> tzinfo | None:
    try:
        return UTC if name in ("UTC", "GMT") else ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None


def _time(value: object) -> datetime | None:
    """A time as logs write it: RFC 3339, or seconds or milliseconds since 1970; without a zone where none is named."""
    try:
        if isinstance(value, str):
            return datetime.fromisoformat(value)
        if isinstance(value, int | float) and not isinstance(value, bool):
            return datetime.fromtimestamp(value / 1000 if value > 1e11 else value, UTC)
    except (ValueError, OverflowError, OSError):
        pass
    return None
