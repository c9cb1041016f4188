"""Limits and probes of ``system.yml`` that fail open."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from checks.catalogue import _open_shell
from checks.catalogue._findings import Finding, Severity
from checks.catalogue.domains import domain_of
from checks.errors import Place
from checks.judge.reachable import Domain, Reach, hides, reach

if TYPE_CHECKING:
    from checks.model import Metric, System

_SHELLS = frozenset({"sh", "bash", "dash", "ash", "zsh", "ksh"})
_BANDS = {"warning": "yellow", "critical": "red"}


class Places:
    """Where things stand in a system's file; it is read when the first is asked for."""

    def __init__(self, system: System, root: Path) -> None:
        self._path = system.path
        self._shown = system.path.relative_to(root) if system.path.is_relative_to(root) else system.path

    @cached_property
    def _top(self) -> Any:
        import yaml  # type: ignore[import-untyped]

        # The reader that refuses what may not stand here has read it; libyaml tells places fifty times as fast.
        return yaml.compose(self._path.read_text(encoding="utf-8"), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))

    def of(self, metric: str, *keys: str) -> Place:
        """The place of a key below a metric."""
        node, mark = self._top, self._top.start_mark
        for name in ("metrics", metric, *keys):
            pairs = node.value if node.id == "mapping" else ()
            found = next(((key, value) for key, value in pairs if key.value == name), None)
            if found is None:
                break
            mark, node = found[0].start_mark, found[1]
        return Place(self._shown, mark.line + 1, mark.column + 1)


def limits(metric: Metric, places: Places) -> Iterator[Finding]:
    """Limits that no value, or every value, breaks; and warnings that never show."""
    domain = domain_of(metric)
    severity = Severity.ERROR if domain.certain else Severity.FINDING
    levels = {"warning": metric.warning, "critical": metric.critical}
    keys = {name: _BANDS[name] if metric.green else name for name in levels}
    for name, limit in levels.items():
        if limit is None:
            continue
        reached = reach(limit, domain, metric.unit)
        if reached is Reach.NONE:
            what = f"{metric.name}: no value can break `{limit.text}`" + _because(domain, metric)
            yield Finding(places.of(metric.name, keys[name]), what, "compare with a value that there can be", severity)
        elif reached is Reach.ALL:
            what = f"{metric.name}: every value breaks `{limit.text}`, so it is never ok" + _because(domain, metric)
            yield Finding(places.of(metric.name, keys[name]), what, "say what breaks it, not what is well", severity)
    critical, warning = metric.critical, metric.warning
    if critical and warning and metric.green is None and hides(critical, warning, domain, metric.unit):
        yield Finding(
            places.of(metric.name, "warning"),
            f"{metric.name}: the warning `{warning.text}` never shows, as `{critical.text}` is critical there",
            "let the warning begin before the critical limit",
        )


def probes(metric: Metric, places: Places) -> Iterator[Finding]:
    """Selects that are no JMESPath, and commands that throw a failure away."""
    select = metric.probe.get("select")
    if isinstance(select, str) and (fault := _jmespath_fault(select)):
        yield Finding(
            places.of(metric.name, "probe", "select"),
            f"{metric.name}: `{select}` is no JMESPath: {fault}",
            "write the path of the number, such as errors.rate (https://jmespath.org)",
            Severity.ERROR,
        )
    argv = metric.probe.get("argv")
    if isinstance(argv, list):
        where = places.of(metric.name, "probe", "argv")
        yield from (Finding(where, f"{metric.name}: {what}", remedy) for what, remedy in _of_argv([str(one) for one in argv]))


def _of_argv(argv: list[str]) -> Iterator[tuple[str, str]]:
    name = Path(argv[0]).name
    script = next((argv[at + 1] for at in range(1, len(argv) - 1) if argv[at].startswith("-") and argv[at].endswith("c")), None)
    if name in _SHELLS and script is not None:
        strict = any("pipefail" in one for one in argv)
        for _, _, what, remedy in _open_shell.read(script, strict=strict):
            yield what, remedy


def _because(domain: Domain, metric: Metric) -> str:
    from checks.judge import format_value

    ends = [f"from {format_value(domain.low, metric.unit)}"] if domain.low > float("-inf") else []
    ends += [f"to {format_value(domain.high, metric.unit)}"] if domain.high < float("inf") else []
    whole = "whole numbers " if domain.whole else ""
    if not ends:
        return ""
    return f" (its values are {whole}{' '.join(ends)}{'' if domain.certain else ', as is usual for its unit'})"


def _jmespath_fault(expression: str) -> str:
    import jmespath
    from jmespath.exceptions import JMESPathError

    try:
        jmespath.compile(expression)
    except (JMESPathError, ValueError) as error:
        return " ".join(str(error).split("\n")[0].split())
    return ""
