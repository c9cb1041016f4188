"""The reference page of limits, rendered from the parser's own forms."""

from __future__ import annotations

from checks.judge.limits import Form, forms

_HEAD = """\
# Limits

Read this page when you write `warning:` or `critical:` in a `system.yml`, or want to know exactly when one is broken.

**A limit says what breaks it.** `> 500 ms` is broken by 501 ms and not by 500 ms. A metric has a `warning:` limit, a
`critical:` limit, or both; critical wins over unknown, unknown over warning, and warning over ok. What cannot be judged is
unknown and says why: no value, a value that is no number, a window that is not covered, too short a history, too few samples.

Numbers carry the unit of what they are compared with: `%`, `ms`, `s`, `min`, `h`, `d`, `B`, `kB`, `MB`, `GB`, `MiB`, rates such
as `/min`, or the word for what is counted. Times and sizes are converted; a time compared with a percentage is refused when the
catalogue is read. Spacing is free.
"""

_CONDITIONS = """\
## Conditions
"""

_WINDOWS = """\
## What may follow a condition
"""

_REST = """\
## Windows

A limit with `for` or `in` needs `every:` beside it, how often the metric is measured. A window is covered when the samples reach
back to its beginning and no gap between two of them is longer than twice `every:`. A window that is not covered is unknown
("needs 15 min of samples, has 4 min"), unless the samples that are there settle it: one that doesn't break the condition settles
`for`, and a count that is already too high settles `in`.

`proofbook schedule run` measures a metric with `every:` that often, whether a runbook is due or not. A `prometheus` probe brings
the server's own history with it, so that its first measurement settles a window. `proofbook lint` finds windows that hold no more
than one sample, and those over what only a rare runbook measures.

`in` counts, so the metric says what its samples are: `series: counter` is a total that rises until it starts again at zero,
`series: events` is what happened since the sample before.

```yaml
cpu:
  title: CPU in use
  unit: "%"
  probe: {kind: host, measure: cpu}
  every: 1m
  warning: "> 70 % for 15m"
complaints:
  title: Complaints
  unit: complaints
  probe: {kind: notebook}
  every: 10m
  series: events
  critical: "> 5 in 1h"
```

## Baselines

A share of the baseline (`< 80 % of baseline`, `+25 %`, `not within 10 % of baseline`) needs to know what is usual. Write
`not within`: a limit that is broken while all is as usual is refused. A baseline is either taken of the metric's own past or
stated as a figure. The one that was used stands in the result.

```yaml
workflows-created:
  title: Workflows created
  unit: workflows/h
  probe: {kind: notebook}
  every: 1h
  warning: "< 80 % of baseline"
  baseline:
    statistic: median        # or mean, min, max, p95
    window: 28d              # how far back
    needs: 7d                # how much time its samples must cover; default: a quarter of the window
    samples: 5               # how many there must be
    aligned: hour-of-week    # or hour-of-day, or none: only samples of the same hour (UTC)
    since: "{released_at}"   # a time or a setting; earlier samples don't count. `until:` leaves out later ones
sessions:
  title: Session duration
  unit: min
  probe: {kind: notebook}
  warning: "< 70 % of baseline"
  baseline: {figure: 24 min, on: 2026-03-01, by: "A. Nowak, operations"}
```

## Samples

`needs: 20` makes a value unknown that rests on fewer than twenty samples (requests, lines); such a value is told in the reason
and never becomes a part of the metric's history. Beside a probe that counts nothing, or takes fewer, it is refused. Where a JSON
document holds the number itself, name it: `select: error_rate, samples: requests`. A runbook's cell takes figures that count:
`percentile`, `mean`, `ratio`, `rate` and `percentile_of_buckets` of `checks.judge`.

```python
from checks import check
from checks.judge import ratio

check("login-failures", ratio(3, 480))
```

## Bands

Three bands may stand in place of limits: green is ok, yellow is warning, red is critical. `0.5-2 %` includes both ends. Bands
that overlap or leave a hole are refused at their line, with the hole. A value that still lies in none of them is unknown.

```yaml
green: "< 0.5 %"
yellow: "0.5-2 %"
red: "> 2 %"
```

Numbers of things are whole, so that `0-1`, `2-5` and `> 5` leave no hole. `baseline`, `+10 %` and `+25 %` are steps, each of
which reaches as far as the next.

## Leaving and staying

A status that flaps helps nobody. `leave:` gives a condition to leave a status once it is entered; `stay:` is how long it lasts at
least. Where no sample says whether the status was entered before, it is unknown until one does.

```yaml
critical: "> 10 % for 5m"
leave: {critical: "< 8 % for 5m"}
stay: 10m
every: 1m
```

## Decisions

A system may name combinations of its metrics' states. A metric's name alone means that it is critical. What is unknown leaves a
decision open, unless the others settle it.

```yaml
conditions:
  roll-back:
    title: Roll back
    any: [feature-errors, critical-errors, {metric: performance, at: warning}]
  page-everyone:
    title: Page everyone
    at-least: 2
    of: [api-up, database-up, error-rate]
```

A cell asks with `decide("roll-back")` after its checks, and prints the answer with the evidence of each state. `proofbook
check` decides by what it has just measured, `proofbook status` and the macro `decisions` on a page by what was measured last;
there, what is stale is unknown. A state that can never be there is refused.

## Patterns

A metric of the unit `text` is judged by `matches /…/` and `changes`. A probe that reads JSON, text, a header, a row or a
program's output gives the text there, and a runbook's cell may give one: `check("release", "v2.1.0")`. Patterns are [RE2's](https://github.com/google/re2/wiki/Syntax),
at most 500 characters long, and are looked for anywhere in the
first 2,000 characters. Back references and look-around are not read, so that no text can keep a check busy; `\\d`, `\\w`, `\\s`
and `\\b` know ASCII only.
"""


def page() -> str:
    """The page as Markdown; the one in docs/ is this, and a test holds it to it."""
    conditions = [form for form in forms() if not form.follows]
    following = [form for form in forms() if form.follows]
    parts = [_HEAD, _CONDITIONS, _table(conditions), _WINDOWS, _table(following), _REST]
    return "\n".join(part.rstrip() + "\n" for part in parts)


def _table(some: list[Form]) -> str:
    rows = [
        f"| {_code(form.name)} | {' · '.join(f'`{example}`' for example in form.examples)} | {form.broken} |" for form in some
    ]
    return "\n".join(["| Form | For example | Broken when |", "| --- | --- | --- |", *rows])


def _code(name: str) -> str:
    return "<br>".join(f"`{spelling}`" for spelling in name.split(" · "))


if __name__ == "__main__":
    from pathlib import Path

    Path("docs/reference/limits.md").write_text(page(), encoding="utf-8")
