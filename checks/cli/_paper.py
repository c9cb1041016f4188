"""What ``proofbook check --against`` prints: a limit tried on what the journal has, beside today's."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from checks.errors import DataError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from checks.cli._shared import Workspace
    from checks.judge.paper import Drawn, Rejudged
    from checks.judge.windows import Sample
    from checks.model import Limit, Metric

_WIDTH = 60


@dataclass(frozen=True, slots=True)
class Trial:
    """A metric's values, and what each limit would have said of them.

    Attributes:
        judged: each limit under its name: ``proposed``, then ``warning`` and ``critical`` as declared today.

    """

    metric: Metric
    samples: Sequence[Sample]
    judged: dict[str, Rejudged]
    since: datetime
    now: datetime

    @property
    def within(self) -> list[Sample]:
        """The values that were judged; the others are history only."""
        return [sample for sample in self.samples if self.since <= sample[0] <= self.now]

    @property
    def drawn(self) -> Drawn | None:
        """The plot; ``None`` where nothing was measured."""
        from checks.judge.paper import draw

        return draw(self.metric, self.samples, list(self.judged.values()), self.since, self.now, _WIDTH)


def parse_since(text: str) -> timedelta:
    """Read how far back to look.

    Raises:
        UsageError: it is no duration.

    """
    from checks.judge.durations import parse_duration

    try:
        return parse_duration(text)
    except ValueError as error:
        raise UsageError(f"--since: {error}", expected="how far back", found=text, example="--since 7d") from error


def tried(place: Workspace, metric: Metric, proposed: Limit, back: timedelta, now: datetime) -> Trial:
    """Judge what the journal has of a metric by a proposed limit and by today's.

    Raises:
        DataError: the limit cannot judge this metric.

    """
    from checks.catalogue import resolve
    from checks.judge.limits import PATTERNS
    from checks.judge.paper import lookback, rejudge
    from checks.run.history import with_settings

    metric = with_settings(metric, resolve(place.catalogue.systems[metric.system], place.environment, place.variables))
    since = now - back
    today = {"warning": metric.warning, "critical": metric.critical}
    limits = {"proposed": proposed} | {name: limit for name, limit in today.items() if limit and limit.operator not in PATTERNS}
    earliest = min(lookback(metric, limit, since) for limit in limits.values())
    samples = _observations(place, metric, earliest)
    try:
        judged = {name: rejudge(metric, limit, samples, since, now) for name, limit in limits.items()}
    except DataError as error:
        error.where = error.where or f"--against for {metric.slug}"
        raise
    return Trial(metric, samples, judged, since, now)


def _observations(place: Workspace, metric: Metric, earliest: datetime) -> Sequence[Sample]:
    from checks.journal import JournalMissing, open_journal
    from checks.judge import LONGEST

    try:
        with open_journal(place.catalogue.settings.journal, create=False) as journal:
            return journal.observations(metric.slug, place.environment, earliest, unit=metric.unit, limit=LONGEST)
    except JournalMissing:
        return ()


def told(trial: Trial) -> list[str]:
    """What a reader must know of the history before trusting the table."""
    from checks.judge import LONGEST, format_value

    within = trial.within
    asked = format_value(int((trial.now - trial.since).total_seconds()), "s")
    if not within:
        return [f"too little history: the journal has no value of {trial.metric.slug} in the last {asked}"]
    notes = []
    covered = trial.now - within[0][0]
    if covered < 0.9 * (trial.now - trial.since):
        has = format_value(int(covered.total_seconds()), "s")
        notes.append(f"too little history: {asked} were asked for, and the first value is {has} old")
    if len(trial.samples) >= LONGEST:
        notes.append(f"only the latest {LONGEST:,} values were read")
    for name, one in trial.judged.items():
        if one.unknown:
            notes.append(f"{name}: {one.unknown:,} of {one.samples:,} samples are unknown ({one.why_unknown})")
    return notes


def as_json(trial: Trial) -> dict[str, Any]:
    """The trial as JSON has it; times in RFC 3339, durations in seconds, the share in percent."""
    return {
        "metric": trial.metric.slug,
        "unit": trial.metric.unit,
        "since": trial.since.isoformat(),
        "until": trial.now.isoformat(),
        "notes": told(trial),
        "limits": [
            {
                "name": name,
                "limit": one.limit.text,
                "samples": one.samples,
                "breaks": one.breaks,
                "unknown": one.unknown,
                "share": one.share,
                "episodes": [
                    {"begin": e.begin.isoformat(), "end": e.end.isoformat(), "samples": e.samples} for e in one.episodes
                ],
                "longest_seconds": one.longest.length.total_seconds() if one.longest else None,
            }
            for name, one in trial.judged.items()
        ],
    }


def print_trial(trial: Trial) -> None:
    """Print the table and the plot of a trial."""
    from checks.cli._tables import print_table

    headings = ("limit", "is", "samples", "unknown", "breaks", "share", "episodes", "longest", "first break", "last break")
    print(f"{trial.metric.slug}: {trial.metric.title}, {_at(trial.since)} to {_at(trial.now)}")
    print_table(headings, [_row(name, one) for name, one in trial.judged.items()], {"proposed": "bold"})
    if (drawn := trial.drawn) is not None:
        print()
        _print_plot(trial, drawn)
    for note in told(trial):
        print(note)


def _row(name: str, one: Rejudged) -> list[str]:
    from checks.judge import format_value

    episodes, longest = one.episodes, one.longest
    share = "-" if one.share is None else format_value(one.share, "%")
    lasting = "-"
    if longest is not None:
        many = f" ({longest.samples:,} samples)"
        lasting = "1 sample" if longest.samples == 1 else format_value(int(longest.length.total_seconds()), "s") + many
    ends = (_at(episodes[0].begin), _at(episodes[-1].end)) if episodes else ("-", "-")
    counts = [f"{number:,}" for number in (one.samples, one.unknown, one.breaks)]
    return [name, one.limit.text, *counts, share, f"{len(episodes):,}", lasting, *ends]


def _print_plot(trial: Trial, drawn: Drawn) -> None:
    from rich.text import Text

    from checks.cli._shared import console
    from checks.judge import format_value

    target = console()
    unit = trial.metric.unit
    width = max(len(name) for name in (*trial.judged, "values"))
    broken = drawn.marks[0]
    line = Text()
    for character, mark in zip(drawn.line, broken, strict=True):
        line.append(character, {"!": "red", "?": "magenta"}.get(mark, "green" if character != "·" else "dim"))
    target.print(Text(f"{'values'.ljust(width)}  ") + line)
    for (name, one), marks, level in zip(trial.judged.items(), drawn.marks, drawn.levels, strict=True):
        at = f" (at {level})" if level else ""
        target.print(Text(f"{name.ljust(width)}  {marks}  {one.limit.text}{at}"))
    scale = f"{format_value(drawn.low, unit)} to {format_value(drawn.high, unit)}"
    target.print(Text(f"{''.ljust(width)}  {scale}; ! breaks, ? unknown, · nothing measured", "dim"))


def _at(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M}Z"
