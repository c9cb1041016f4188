"""How each kind of probe is declared; what measures by it lives in ``checks.probes``."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import Field, model_validator

from checks.catalogue._declaration import Declaration as Declaration
from checks.catalogue._declaration import Duration as Duration
from checks.catalogue._declaration import Place as Place
from checks.catalogue._declaration import Regex as Regex
from checks.catalogue._declaration import Statistic as Statistic
from checks.catalogue._declaration import Timezone as Timezone
from checks.catalogue._declaration import parse_duration as parse_duration
from checks.catalogue._server_kinds import BackupProbe as BackupProbe
from checks.catalogue._server_kinds import PrometheusProbe as PrometheusProbe
from checks.catalogue._server_kinds import RedisProbe as RedisProbe
from checks.catalogue._server_kinds import TlsProbe as TlsProbe
from checks.catalogue._upkeep_kinds import GithubProbe as GithubProbe
from checks.catalogue._upkeep_kinds import GitProbe as GitProbe
from checks.catalogue._upkeep_kinds import PackagesProbe as PackagesProbe
from checks.catalogue._upkeep_kinds import RetentionProbe as RetentionProbe
from checks.catalogue._upkeep_kinds import ServiceProbe as ServiceProbe


class HttpProbe(Declaration):
    """A request to a host that the environment's settings name, and what is taken from its answer.

    ``json`` takes the number at `select`, ``text`` the number in the first group of `match` (of a pattern without a
    group: whether it is found), ``header`` the number in a header, or the age of the date in it. Of a metric whose unit is
    ``text`` they take the text there. ``time`` is how long
    `repeat` requests took: ``total`` to the last byte, or a `part` of it: ``dns``, ``connect``, ``tls``, or
    ``first-byte``, from the request sent to the head of the answer. ``availability`` is the share of `repeat` requests that
    were answered with a status below 400, ``status`` the HTTP status, ``redirects`` how many lead to the answer.
    """

    kind: Literal["http"]
    url: str = Field(description="An address; {name} stands for a setting of the environment.")
    measure: Literal["json", "time", "availability", "status", "text", "header", "redirects"] = "json"
    select: str | None = Field(None, description="A JMESPath expression to a number.")
    samples: str | None = Field(None, description="A JMESPath expression to how many samples the number at `select` rests on.")
    match: Regex | None = Field(None, description="A regular expression; ^ and $ are the ends of lines.")
    header: str | None = Field(None, description="The name of a header of the answer, such as Last-Modified.")
    part: Literal["dns", "connect", "tls", "first-byte", "total"] = "total"
    method: Literal["GET", "HEAD"] = "GET"
    headers: dict[str, str] = Field(default_factory=dict)
    repeat: int = Field(1, ge=1, le=1000)
    statistic: Statistic = "median"
    authority: str | None = Field(None, description="A PEM file of the authorities to trust; without it, the machine's.")
    timeout: Duration = timedelta(seconds=10)

    @model_validator(mode="after")
    def _options_go_with_their_measure(self) -> HttpProbe:
        if self.measure == "json" and not self.select:
            raise ValueError("expected `select:`, the JMESPath of the number, beside `measure: json`")
        if self.measure != "json" and self.select:
            raise ValueError("expected no `select:`; it goes with `measure: json`")
        if self.samples and not self.select:
            raise ValueError("expected no `samples:`; it goes with `select:`")
        if self.measure == "text" and not self.match:
            raise ValueError("expected `match:`, a regular expression whose first group is the number, beside `measure: text`")
        if self.match and self.measure not in ("text", "header"):
            raise ValueError("expected no `match:`; it goes with `measure: text` and `measure: header`")
        if (self.measure == "header") != bool(self.header):
            raise ValueError("expected `header:` beside `measure: header`, and only there")
        if self.part != "total" and self.measure != "time":
            raise ValueError("expected no `part:`; it goes with `measure: time`")
        return self


class CommandProbe(Declaration):
    """A program with its arguments, never a shell; `take` says what of it is the value.

    ``exit`` is its exit status; ``number`` the only number on its standard output; ``json`` the number at `select`, or the
    text there; ``text`` the only line that it writes, of a metric whose unit is ``text``. But for ``exit``, an exit status
    other than 0 is no observation. A setting whose value begins with ``-`` is given to the program only behind an argument
    ``--``, so that it is never taken for an option.
    """

    kind: Literal["command"]
    argv: list[str] = Field(min_length=1)
    take: Literal["exit", "number", "json", "text"] = "exit"
    select: str | None = None
    samples: str | None = Field(None, description="A JMESPath expression to how many samples the number at `select` rests on.")
    timeout: Duration = timedelta(seconds=10)

    @model_validator(mode="after")
    def _select_goes_with_json(self) -> CommandProbe:
        if (self.take == "json") != bool(self.select):
            raise ValueError("expected `select:` beside `take: json`, and only there")
        if self.samples and not self.select:
            raise ValueError("expected no `samples:`; it goes with `select:`")
        return self


class FileProbe(Declaration):
    """The newest file that matches a path or glob: its age or size; or how many match.

    A glob that matches nothing has no age and no size: that is unknown, not zero.
    """

    kind: Literal["file"]
    path: Place = Field(description="A path or glob below a setting of the environment, such as {backups}/*.sql.gz.")
    measure: Literal["age", "size", "count"]
    timeout: Duration = timedelta(seconds=10)


class SqlProbe(Declaration):
    """One number from a database that is only read: an SQLite file, or PostgreSQL.

    ``query`` is the answer of `query`, one row with one number in the metric's unit, or the text there where that is ``text``.
    Of a row with several columns `column` names the one that is meant; the others are told beside it. The other measures are
    what the database says of itself: ``size``; and of PostgreSQL only ``slow-queries`` (how many take longer than
    `slower_than` on average, by its extension pg_stat_statements), ``connections`` (their share of max_connections),
    ``lock-waits`` (processes that wait for a lock), ``vacuum-age`` (the time since the table that was vacuumed longest ago
    was; one with rows that never was makes it unknown) and ``unused-indexes`` (those that serve no constraint and were never
    scanned).
    A statement over its time is ended on the server too. What a function may do that a query calls is for the database's
    role to say: give it one that may only read.
    """

    kind: Literal["sql"]
    database: Place = Field(
        description="A path of an SQLite database or an address postgresql://…, mostly a setting such as {database}."
    )
    measure: Literal["query", "size", "slow-queries", "connections", "lock-waits", "vacuum-age", "unused-indexes"] = "query"
    query: str | None = None
    column: str | None = Field(None, description="The column of the row that is the value, where it has several.")
    slower_than: Duration = Field(timedelta(seconds=1), alias="slower-than")
    timeout: Duration = timedelta(seconds=10)

    @model_validator(mode="after")
    def _query_goes_with_its_measure(self) -> SqlProbe:
        if (self.measure == "query") != (self.query is not None):
            raise ValueError("expected `query:`, or another `measure:` than query in its place")
        if self.column and self.measure != "query":
            raise ValueError("expected no `column:`; it goes with `measure: query`")
        return self


class LogProbe(Declaration):
    """Lines of a log in a window that ends now, over its rotated and gzipped files too.

    It reads JSON lines, access logs (common and combined), the error logs of nginx and PHP, and lines that hold an ISO
    time, as Python's logging writes them. A line counts when `match` is found in it and each field of `where` has one of
    its values: a JSON line's fields; of an access log ``remote``, ``user``, ``method``, ``path``, ``status``, ``bytes``,
    ``referrer`` and ``agent``; of the others the ``level``, in capitals as a rule (nginx ``ERROR``, PHP ``FATAL``).
    ``count`` is how many count; ``per-minute`` that number over the window; ``ratio`` its share of the lines that
    `of` selects, in percent; a statistic (``p95``) is taken of the number in `field`; ``top`` is how often the most
    frequent message was seen, messages being the same when only numbers and ids in them differ.
    """

    kind: Literal["log"]
    path: Place
    window: Duration
    match: Regex | None = Field(None, description="A regular expression in the syntax of RE2.")
    where: dict[str, str | int | list[str | int]] = Field(default_factory=dict)
    of: dict[str, str | int | list[str | int]] = Field(
        default_factory=dict, description="The whole of a ratio; empty: all lines."
    )
    measure: Literal["count", "per-minute", "ratio", "top"] | Statistic = "count"
    field: str | None = Field(None, description="The field whose numbers a statistic is taken of.")
    timestamp: str = Field("ts", description="The JSON field that holds the time, RFC 3339.")
    message: str = Field("message", description="The JSON field that holds the message.")
    timezone: Timezone = Field("UTC", description="The zone of times that name none.")
    needs: int = Field(0, ge=0, description="A ratio or statistic of fewer lines than this is unknown.")
    timeout: Duration = timedelta(seconds=20)


class HostProbe(Declaration):
    """This machine, or one process on it.

    ``disk`` and ``inodes`` are the used share of the filesystem of `path`, ``memory`` and ``cpu`` the used share of the
    machine that holds it (cpu over one second), ``load`` the one-minute load per core; where `path` does not exist, it is
    not the machine that is meant, and nothing is measured. ``open-files`` is how many files all its processes hold open.
    ``process-memory`` is the resident size of the process whose id the file `pid_file` holds, ``process-cpu`` its share of one
    core over one second, ``process-uptime`` the time since it started, ``process-files`` how many files and connections it
    holds open and ``process-files-share`` their share of as many as it may.
    """

    kind: Literal["host"]
    measure: Literal[
        "disk", "inodes", "memory", "cpu", "load", "open-files",
        "process-memory", "process-cpu", "process-uptime", "process-files", "process-files-share",
    ]  # fmt: skip
    path: Place = "/"
    pid_file: Place | None = None
    timeout: Duration = timedelta(seconds=10)

    @model_validator(mode="after")
    def _process_needs_a_pid(self) -> HostProbe:
        if self.measure.startswith("process-") != bool(self.pid_file):
            raise ValueError("expected `pid_file:` beside a process- measure, and only there")
        return self


class NotebookProbe(Declaration):
    """Nothing by itself: a runbook's cell computes the value and gives it to ``check(metric, value)``."""

    kind: Literal["notebook"]


ProbeDeclaration = Annotated[
    HttpProbe
    | TlsProbe
    | RedisProbe
    | PrometheusProbe
    | BackupProbe
    | CommandProbe
    | FileProbe
    | SqlProbe
    | LogProbe
    | HostProbe
    | GitProbe
    | ServiceProbe
    | GithubProbe
    | PackagesProbe
    | RetentionProbe
    | NotebookProbe,
    Field(discriminator="kind"),
]
