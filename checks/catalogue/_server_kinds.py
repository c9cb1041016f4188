"""How the kinds that ask servers and read backups are declared: tls, redis, prometheus, backup."""

from __future__ import annotations

from datetime import timedelta
from typing import Literal

from pydantic import Field, model_validator

from checks.catalogue._declaration import Declaration, Duration, Place, Statistic


class TlsProbe(Declaration):
    """A handshake with a server that the environment's settings name, and what its certificate says.

    ``expiry`` is the time until the server's own certificate expires, below zero where it has; it is told of a certificate
    that nobody trusts, too. ``chain`` is 1 where a browser would accept the certificate and 0 where it would not, with the
    reason: expired, not yet valid, for another host, self-signed, by an unknown issuer. ``host`` is 1 where the certificate is
    for the name, whoever signed it, and 0 where it is for others. ``protocol`` is the version of TLS that the handshake
    agrees on, as a number such as 1.3. `starttls` names what is spoken before the handshake, where TLS does not come first.
    """

    kind: Literal["tls"]
    address: str = Field(description="A URL or host:port; {name} stands for a setting of the environment.")
    measure: Literal["expiry", "chain", "host", "protocol"] = "expiry"
    starttls: Literal["smtp", "imap", "postgresql"] | None = None
    server_name: str | None = Field(None, description="The name to ask for and to expect; without it, the address's host.")
    authority: str | None = Field(None, description="A PEM file of the authorities to trust; without it, the machine's.")
    timeout: Duration = timedelta(seconds=10)


class RedisProbe(Declaration):
    """PING or INFO of a Redis server that the environment's settings name; nothing else is ever sent but the password.

    ``ping`` is the time of one PING. ``hit-rate`` is the share of looked-up keys that were there, ``evictions`` how many keys
    were dropped for want of memory: both since the server's start, or during a window that begins now and lasts `over`. A
    window without a look-up has no hit rate. ``memory`` is the memory used, ``memory-share`` its share of maxmemory.
    ``save-age`` is the time since the last save that succeeded, unknown while there was none since the server's start, and
    ``unsaved`` how many changes were made since.
    """

    kind: Literal["redis"]
    url: str = Field(description="redis://[user:password@]host[:port], or rediss:// with TLS; {name} stands for a setting.")
    measure: Literal["ping", "hit-rate", "evictions", "memory", "memory-share", "save-age", "unsaved"] = "ping"
    over: Duration | None = Field(None, description="How long hits or evictions are counted; without it, since the start.")
    needs: int = Field(1, ge=1, description="A hit rate of fewer look-ups than this is unknown.")
    authority: str | None = Field(None, description="A PEM file of the authorities to trust; without it, the machine's.")
    timeout: Duration = Field(timedelta(seconds=5), description="The deadline of all of it, `over` not counted.")

    @model_validator(mode="after")
    def _only_counters_have_a_window(self) -> RedisProbe:
        if self.over and self.measure not in ("hit-rate", "evictions"):
            raise ValueError("expected no `over:`; it goes with `measure: hit-rate` and `measure: evictions`")
        return self


class PrometheusProbe(Declaration):
    """A query to a Prometheus server that the environment's settings name; its answer is one series, in the metric's unit.

    Without `range` it is the value now; where the metric's limits look back (``> 70 % for 15m``, a baseline), the values before
    it are asked for as well, one each `every`, and the limits are judged by the server's own history from where it begins.
    With `range` it is the `statistic` of the values in that time up to now, one each `step`. A range with a gap, no series,
    several of them and NaN are unknown: aggregate in the query, as by ``sum(…)``.
    """

    kind: Literal["prometheus"]
    url: str = Field(description="The server's address, with its path prefix where it has one, mostly a setting.")
    query: str = Field(min_length=1, description="PromQL; {name} stands for a setting, other braces for themselves.")
    range: Duration | None = None
    step: Duration | None = Field(None, description="How far apart the values of a range are; without it, a sixtieth of it.")
    statistic: Statistic = "mean"
    headers: dict[str, str] = Field(default_factory=dict)
    authority: str | None = Field(None, description="A PEM file of the authorities to trust; without it, the machine's.")
    timeout: Duration = timedelta(seconds=10)

    @model_validator(mode="after")
    def _only_a_range_has_steps(self) -> PrometheusProbe:
        if self.range is None and ({"step", "statistic"} & self.model_fields_set):
            raise ValueError("expected `range:` beside `step:` and `statistic:`")
        if self.range and self.step and not self.range / 10_000 <= self.step <= self.range:
            raise ValueError("expected a `step:` no longer than `range:`, and at most 10,000 of them in it")
        return self


class BackupProbe(Declaration):
    """The newest of the backups that match a path or glob below a setting: how old, how large, how whole.

    ``age`` and ``size`` look at the file, ``shrinkage`` is how much smaller it is than the median of the `previous` ones, below
    zero where it grew. The others read it to its end, unpacked: ``bytes`` counts bytes, ``rows`` the rows in a dump by
    pg_dump, sqlite3 or mysqldump or in an SQLite database. ``restored`` restores it into a scratch database that is removed
    again, and counts the rows there: what is of SQLite in a temporary file; what is of PostgreSQL in a new database on the
    server that `scratch` names. Give that server nothing else to keep, and its role no more than the right to create databases.
    A dump by mysqldump is read to its end and its rows are counted, but it is not restored: that is unknown.
    No byte, a broken-off or damaged file and a link that leads out of the folder are told apart, and are no backup.
    """

    kind: Literal["backup"]
    path: Place = Field(
        pattern=r"^\{[a-z_][a-z0-9_]*\}", description="A path or glob below a setting of the environment: {backups}/*.sql.gz."
    )
    measure: Literal["age", "size", "shrinkage", "bytes", "rows", "restored"] = "age"
    previous: int = Field(7, ge=1, le=1000, description="How many backups before the newest make the median.")
    needs: int = Field(3, ge=1, description="With fewer of them than this, shrinkage is unknown.")
    table: str | None = Field(None, description="The table whose rows are counted; without it, all of them.")
    scratch: str | None = Field(
        None, pattern=r"^\{[a-z_][a-z0-9_]*\}$", description="A setting that holds postgresql://role@host/postgres."
    )
    timeout: Duration = timedelta(minutes=1)

    @model_validator(mode="after")
    def _options_go_with_their_measure(self) -> BackupProbe:
        if self.table and self.measure not in ("rows", "restored"):
            raise ValueError("expected no `table:`; it goes with `measure: rows` and `measure: restored`")
        if self.scratch and self.measure != "restored":
            raise ValueError("expected no `scratch:`; it goes with `measure: restored`")
        if ({"previous", "needs"} & self.model_fields_set) and self.measure != "shrinkage":
            raise ValueError("expected no `previous:` or `needs:`; they go with `measure: shrinkage`")
        if self.measure == "shrinkage" and self.needs > self.previous:
            raise ValueError("expected `needs:` to be no more than `previous:`")
        return self
