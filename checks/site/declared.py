"""What the catalogue declares of a metric, in a reader's words: its probe, the settings it needs, its limits."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from inspect import cleandoc
from typing import TYPE_CHECKING, get_args

from checks.judge import format_value
from checks.model import Against, Baseline, FixedBaseline, Limit, Metric, Operator, Runbook, Span
from checks.site import words

if TYPE_CHECKING:
    from checks.catalogue import Catalogue
    from checks.catalogue.probe_kinds import Declaration
    from checks.model import System

_SETTING = re.compile(r"\{([a-z_][a-z0-9_]*)\}")
_VARIABLE = re.compile(r"\$\{(secret:)?([A-Za-z_][A-Za-z0-9_]*)\}")
_CREDENTIALS = re.compile(r"(?<=://)[^/@\s]+(?=@)")
_NAMES_ONLY = ("headers",)
"""Options whose values may be credentials; their names are shown."""


@cache
def probe_classes() -> dict[str, type[Declaration]]:
    """How each kind of probe is declared, by the kind's name."""
    from checks.catalogue import probe_kinds

    union = get_args(probe_kinds.ProbeDeclaration)[0]
    return {get_args(kind.model_fields["kind"].annotation)[0]: kind for kind in get_args(union)}


def probe_in_words(metric: Metric) -> str:
    """What a metric's kind of probe measures; the first paragraph of its declaration's docstring."""
    found = probe_classes().get(str(metric.probe["kind"]))
    return " ".join(cleandoc(found.__doc__ or "").partition("\n\n")[0].split()) if found else ""


def probe_options(metric: Metric) -> list[tuple[str, str]]:
    """The options as declared, without what may be a credential."""
    return [(name, _shown(name, value)) for name, value in metric.probe.items() if name != "kind"]


def _shown(name: str, value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key}" if name in _NAMES_ONLY else f"{key}: {_shown('', one)}" for key, one in value.items())
    if isinstance(value, list | tuple):
        return " ".join(_shown("", one) for one in value)
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return _CREDENTIALS.sub("•••", text)


@dataclass(frozen=True, slots=True)
class SettingUse:
    """A setting that a probe refers to, and where each environment has it from; never its value."""

    name: str
    origins: tuple[tuple[str, str], ...]


def settings_of(metric: Metric, system: System) -> list[SettingUse]:
    """The settings of the environment that a metric's probe refers to."""
    known = {name for environment in system.environments.values() for name in environment.settings}
    names = dict.fromkeys(name for text in _texts(metric.probe) for name in _SETTING.findall(text) if name in known)
    return [
        SettingUse(
            name,
            tuple((environment.name, _origin(environment.settings.get(name))) for environment in system.environments.values()),
        )
        for name in names
    ]


def _origin(template: str | None) -> str:
    if template is None:
        return "not set there"
    found = [f"the {'secret' if secret else 'variable'} {name}" for secret, name in _VARIABLE.findall(template)]
    return " and ".join(found) or "system.yml"


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for one in value.values():
            yield from _texts(one)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _texts(one)


def measured_by(metric: Metric, catalogue: Catalogue) -> list[Runbook]:
    """The runbooks of its system that name the metric in a check."""
    return [book for book in catalogue.runbooks_of(metric.system) if metric.name in book.checks]


def judged(metric: Metric) -> list[tuple[str, str, str]]:
    """Each status that a limit gives: its name, when in words, and the limit as written."""
    rows = [("Critical", metric.critical), ("Warning", metric.warning), ("Ok", metric.green)]
    said = [(name, limit_in_words(limit, metric), limit.text) for name, limit in rows if limit is not None]
    left = [("Critical is left", metric.leave_critical), ("Warning is left", metric.leave_warning)]
    return said + [(name, limit_in_words(limit, metric), limit.text) for name, limit in left if limit is not None]


_PHRASES = {
    Operator.ABOVE: "above {0}",
    Operator.AT_LEAST: "{0} or above",
    Operator.BELOW: "below {0}",
    Operator.AT_MOST: "{0} or below",
    Operator.EQUAL: "exactly {0}",
    Operator.DIFFERENT: "anything but {0}",
    Operator.BETWEEN: "from {0} to {1}, both included",
    Operator.NOT_BETWEEN: "below {0} or above {1}",
    Operator.ANY: "above zero",
    Operator.OLDER: "older than {0}",
    Operator.WITHIN: "no farther than {0} from what is usual",
    Operator.NOT_WITHIN: "farther than {0} from what is usual",
    Operator.RISEN: "{0} or more above what is usual",
    Operator.FALLEN: "{0} or more below what is usual",
}
_OF_ITSELF = (Operator.WITHIN, Operator.NOT_WITHIN, Operator.RISEN, Operator.FALLEN)


def limit_in_words(limit: Limit, metric: Metric) -> str:
    """When a limit is broken: ``when it is above 10 % at every sample of 5 min``."""
    window = words.span(limit.window)
    if limit.operator is Operator.CHANGES:
        return f"when it changes within {window}" if limit.span else "when it is another one than in the sample before"
    if limit.operator in (Operator.MATCHES, Operator.NOT_MATCHES):
        found = "is found" if limit.operator is Operator.MATCHES else "is not found"
        said = f"when the pattern {found} in it"
    else:
        usual = " of what is usual" if limit.against is Against.BASELINE and limit.operator not in _OF_ITSELF else ""
        unit = limit.unit if limit.unit or limit.against is Against.BASELINE else metric.unit
        bounds = [format_value(bound, unit) + usual for bound in limit.bounds]
        what = f"what is counted in {window}" if limit.span is Span.COUNTED else "it"
        said = f"when {what} is {_PHRASES[limit.operator].format(*bounds)}"
    return f"{said}, at every sample of {window}" if limit.span is Span.HELD else said


def usual(metric: Metric) -> str:
    """What is usual for a metric; empty where nothing is declared."""
    match metric.baseline:
        case Baseline() as baseline:
            aligned = "" if baseline.aligned.value == "none" else f", of the same {baseline.aligned.value.replace('-', ' ')}"
            needs = f"once its samples cover {words.span(baseline.needs)}"
            return f"the {baseline.statistic} of the last {words.span(baseline.window)}{aligned}, {needs}"
        case FixedBaseline() as baseline:
            return f"{format_value(baseline.value, metric.unit)}, as {baseline.by} stated on {baseline.on:%Y-%m-%d}"
    return ""
