"""What ``proofbook check --against`` prints: a limit tried on what the journal has, beside today's."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from checks.errors import DataError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from checks.cli._shared import Workspace
    from checks.judge.paper import Rejudged
    from checks.judge.plot import Drawn
    from checks.judge.windows import Sample
    from checks.model import Limit, Metric

_WIDTH = 72
_NARROWEST = 20
_LEFT = 14  # the scale's figures, the axis and a space
_DAYS_FROM = 2 * 86400  # of a span this long the days are shown, of a shorter one the hours
_COLOURS = {"!": "bold red", "?": "magenta"}


@dataclass(frozen=True, slots=True)
class Trial:
    """A metric's values, and what each limit would have said of them.

    Attributes:
        judged: each limit under its name: ``proposed``, then ``warning`` and ``critical`` as declared today.
        leave: the condition by which the proposed limit's status is left, where the metric declares one.

    """

    metric: Metric
    samples: Sequence[Sample]
    judged: dict[str, Rejudged]
    since: datetime
    now: datetime
    leave: Limit | None = None

    @property
    def within(self) -> list[Sample]:
        """The values that were judged; the others are history only."""
        return [sample for sample in self.samples if self.since <= sample[0] <= self.now]

    def drawn(self, width: int) -> Drawn | None:
        """The plot; ``None`` where nothing was measured."""
        from checks.judge.plot import draw

        return draw(self.metric, self.samples, list(self.judged.values()), self.since, self.now, width)


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
    # Were the proposed limit declared in place of the graver one of today, that one's condition to leave would stay.
    leave = metric.leave_critical if metric.critical else metric.leave_warning
    limits = {"proposed": (proposed, leave)}
    today = {"warning": (metric.warning, metric.leave_warning), "critical": (metric.critical, metric.leave_critical)}
    limits |= {name: (limit, left) for name, (limit, left) in today.items() if limit and limit.operator not in PATTERNS}
    earliest = min(lookback(metric, limit, since, left) for limit, left in limits.values())
    samples = _observations(place, metric, earliest)
    try:
        judged = {name: rejudge(metric, limit, samples, since, now, left) for name, (limit, left) in limits.items()}
    except DataError as error:
        error.where = error.where or f"--against for {metric.slug}"
        raise
    return Trial(metric, samples, judged, since, now, leave)


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
    if trial.leave is not None:
        notes.append(f"proposed: left as today, by {trial.leave.text}")
    if trial.metric.stay is not None:
        kept = format_value(int(trial.metric.stay.total_seconds()), "s")
        notes.append(f"each is kept for {kept} at least, as the metric declares (stay)")
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
    if (drawn := trial.drawn(_width(trial))) is not None:
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

    target = console()
    labels = _labels(trial, drawn)
    width = max(len(text) for text in (*(left for left, _ in labels), *trial.judged))
    tops, whys = drawn.rows, drawn.marks[0]
    for row, (left, right) in enumerate(labels):
        line = Text(f"{left:>{width}} ┤", "dim")
        for at, character in enumerate(tops[row]):
            # A limit is a line behind the values.
            behind = character == " " and right
            colour = "yellow" if behind else _COLOURS.get(whys[at], "green") if character not in " ·" else "dim"
            line.append("╌" if behind else character, colour)
        target.print(line.append(f" {right}" if right else "", "yellow"), soft_wrap=True)
    target.print(Text(" " * width + " └" + _axis(drawn, trial), "dim"), soft_wrap=True)
    for (name, one), marks in zip(trial.judged.items(), drawn.marks, strict=True):
        line = Text(f"{name:>{width}}  ")
        for mark in marks:
            line.append(mark, _COLOURS.get(mark, ""))
        target.print(line.append(f" {one.limit.text}", "dim"), soft_wrap=True)
    target.print(Text(" " * width + "  ! breaks, ? unknown, · nothing measured; times in UTC", "dim"), soft_wrap=True)


def _width(trial: Trial) -> int:
    """How wide the plot is: on a terminal, as wide as fits beside the limits' texts."""
    from checks.cli._shared import console

    target = console()
    if not target.is_terminal:
        return _WIDTH
    beside = _LEFT + max(len(f"{name} {one.limit.text}") for name, one in trial.judged.items())
    return max(_NARROWEST, min(_WIDTH, target.width - beside))


def _labels(trial: Trial, drawn: Drawn) -> list[tuple[str, str]]:
    """What stands left and right of each row: the scale, and the limits whose bounds lie in it."""
    from checks.judge import format_value

    unit = trial.metric.unit
    rows = [["", ""] for _ in drawn.rows]
    rows[0][0], rows[-1][0] = format_value(drawn.high, unit), format_value(drawn.low, unit)
    for (name, one), bounds in zip(trial.judged.items(), drawn.bounds, strict=True):
        for row, bound in bounds:
            said = f"{name} {one.limit.text}"
            rows[row][1] = f"{rows[row][1]}, {said}" if rows[row][1] else said
            if row not in (0, len(rows) - 1):
                rows[row][0] = format_value(bound, unit)
    return [(left, right) for left, right in rows]


def _axis(drawn: Drawn, trial: Trial) -> str:
    """The round times, each beginning at its column; what does not fit is left out."""
    daily = (trial.now - trial.since).total_seconds() > _DAYS_FROM
    width = len(drawn.rows[0])
    line = ""
    for column, moment in drawn.ticks:
        text = f"┴ {moment:%d %b}" if daily else f"┴ {moment:%H:%M}"
        if column >= len(line) and column + len(text) <= width:
            line = line.ljust(column, "─") + text + " "
    return line.ljust(width, "─")[:width]


def _at(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M}Z"
