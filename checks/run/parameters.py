"""A run's parameters: typed values, checked against the front matter before anything starts."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from checks.errors import DataError
from checks.model import Parameter, Runbook
from checks.run.context import ParameterValue

_BOOLEANS = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}
_EXAMPLES = {"string": "evening", "integer": "24", "number": "2.5", "boolean": "true"}


def parse(assignments: Iterable[str]) -> dict[str, str]:
    """Read ``name=value`` texts as a command line gives them; the values stay texts.

    Raises:
        DataError: a text holds no ``=`` or a name comes twice.

    """
    given: dict[str, str] = {}
    for text in assignments:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise DataError(f"`{text}` is no parameter", expected="name=value", example="-p hours=24")
        if name in given:
            raise DataError(f"the parameter `{name}` is given twice", remedy="give it once")
        given[name] = value
    return given


def validate(runbook: Runbook, given: Mapping[str, object]) -> dict[str, ParameterValue]:
    """The values of a runbook's parameters, with its defaults where none is given.

    Args:
        runbook: the runbook that declares them.
        given: texts from a command line, or values of the declared type.

    Returns:
        Each declared parameter's value, of its declared type.

    Raises:
        DataError: a name is not declared, a value does not fit, or one without a default is not given.

    """
    for name in given:
        if name not in runbook.parameters:
            raise DataError(
                f"{runbook.slug} has no parameter `{name}`",
                where=str(runbook.path),
                expected="one of " + ", ".join(runbook.parameters) if runbook.parameters else "no parameter at all",
                remedy="declare it under `parameters:` in the front matter, or leave it out",
            )
    values: dict[str, ParameterValue] = {}
    for name, declared in runbook.parameters.items():
        value = given.get(name, declared.default)
        if value is None:
            raise DataError(
                f"{runbook.slug} needs a value for `{name}`",
                where=str(runbook.path),
                expected=_expected(declared),
                remedy=f"give it: -p {name}={_sample(declared)}",
            )
        values[name] = _fit(runbook, declared, value)
    return values


def _fit(runbook: Runbook, declared: Parameter, value: object) -> ParameterValue:
    read = _read(declared.type, value)
    fits = (
        read is not None
        and (not declared.choices or str(read) in declared.choices)
        and (declared.minimum is None or isinstance(read, str) or read >= declared.minimum)
        and (declared.maximum is None or isinstance(read, str) or read <= declared.maximum)
        # The operating system ends a variable's value at a NUL, so a shell step would see another value than the rest.
        and not (isinstance(read, str) and ("\0" in read or not _is_text(read)))
    )
    if read is None or not fits:
        raise DataError(
            f"the parameter `{declared.name}` of {runbook.slug} does not fit",
            where=str(runbook.path),
            expected=_expected(declared),
            found=repr(value)[:200],
            remedy=f"give it as -p {declared.name}={_sample(declared)}",
        )
    return read


def _is_text(value: str) -> bool:
    """Whether it can be written down; bytes on a command line that are no UTF-8 come as halves of characters."""
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _read(kind: str, value: object) -> ParameterValue | None:
    """The value as its declared type; ``None`` where it is none."""
    if kind == "string":
        return value if isinstance(value, str) else None
    if kind == "boolean":
        return _BOOLEANS.get(value.lower()) if isinstance(value, str) else value if isinstance(value, bool) else None
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = int(value) if kind == "integer" else float(value)
    except (ValueError, OverflowError):
        return None
    if kind == "integer" and isinstance(value, float) and value != number:
        return None
    return number if math.isfinite(number) else None


def _expected(declared: Parameter) -> str:
    article = "an" if declared.type == "integer" else "a"
    parts = [f"{article} {declared.type}"]
    if declared.choices:
        parts.append("one of " + ", ".join(declared.choices))
    if declared.minimum is not None:
        parts.append(f"at least {declared.minimum:g}")
    if declared.maximum is not None:
        parts.append(f"at most {declared.maximum:g}")
    if declared.type == "string":
        parts.append("without a NUL character")
    return ", ".join(parts)


def _sample(declared: Parameter) -> str:
    if declared.choices:
        return declared.choices[0]
    if declared.default is not None:
        return str(declared.default)
    return f"{declared.minimum:g}" if declared.minimum is not None else _EXAMPLES[declared.type]
