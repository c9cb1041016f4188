"""What a kernel is told of the run that it works for, as a read-only JSON file."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from datetime import date, datetime, timedelta
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING

from checks.errors import DataError
from checks.model import System
from checks.run._decoding import decode

if TYPE_CHECKING:
    from checks.catalogue import Settled

VARIABLE = "PROOFBOOK_CONTEXT"
_RESERVED = re.compile(r"PATH|HOME|TMPDIR|SHELL|(PYTHON|LD_|DYLD_|BASH|IPYTHON|JUPYTER|JPY_|PROOFBOOK_).*")
_NAMED = re.compile(r"\$\{(?:secret:)?([A-Za-z_][A-Za-z0-9_]*)\}")

ParameterValue = str | int | float | bool


@dataclass(frozen=True, slots=True)
class Context:
    """A run as its kernel sees it.

    The values of settings are not in here, as some are secrets: the kernel fills them from its environment variables.

    Attributes:
        run: the run's id.
        runbook: the runbook's slug.
        system: the system with its metrics and limits as they were when the run began.
        environment: the name of the environment.
        parameters: validated values, each declared in the front matter.
        history: what was measured before of each metric whose limits need it, by its name, in its unit, oldest first.

    """

    run: str
    runbook: str
    system: System
    environment: str
    parameters: Mapping[str, ParameterValue]
    history: Mapping[str, tuple[tuple[datetime, float], ...]] = field(default_factory=dict)


def surroundings(
    system: System, settled: Settled, variables: Mapping[str, str], parameters: Mapping[str, ParameterValue]
) -> dict[str, str]:
    """The environment variables that a notebook's bash steps find: ``$SHOP_URL``, ``$BASE_URL``, ``$PARAM_HOURS``.

    Args:
        system: the system; of `variables` only what its environment's settings name is passed on.
        settled: the settings, each by its name in capitals.
        variables: what ``${NAME}`` in system.yml is filled from.
        parameters: the run's parameters.

    """
    named = {name for text in system.environments[settled.environment].settings.values() for name in _NAMED.findall(text)}
    ours = {name: variables[name] for name in named if variables.get(name)}
    ours |= {name.upper(): value for name, value in settled.values.items()}
    ours |= {f"PARAM_{name.upper()}": _shell_text(value) for name, value in parameters.items()}
    return {name: value for name, value in ours.items() if not _RESERVED.fullmatch(name)}


def write(context: Context, path: Path) -> None:
    """Write a context for one kernel; only this user may read it."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o400)
    with os.fdopen(descriptor, "wb") as file:
        file.write(to_json(context).encode("utf-8"))


def read(path: Path) -> Context:
    """Read the context that ``run`` or ``operate`` wrote.

    Raises:
        DataError: the file is not there or holds something else.

    """
    try:
        return decode(Context, json.loads(path.read_bytes()))
    except (OSError, ValueError) as error:
        raise DataError(
            "the run's context cannot be read", where=str(path), found=str(error), remedy=f"leave {VARIABLE} alone"
        ) from error


def to_json(context: Context) -> str:
    """The context as JSON; `read` reads it."""
    return json.dumps(context, default=plain)


def plain(value: object) -> object:
    """What JSON is to write for one of the model's values."""
    if is_dataclass(value):
        return {field.name: getattr(value, field.name) for field in fields(value)}
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"{type(value).__name__} cannot be told to a kernel")


def _shell_text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
