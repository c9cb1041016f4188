"""An environment's settings, filled from variables when a run starts."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from checks.errors import DataError
from checks.model import System

_VARIABLE = re.compile(r"\$\{(secret:)?([A-Za-z_][A-Za-z0-9_]*)\}")
_SETTING = re.compile(r"\{([a-z_][a-z0-9_]*)\}")


class MissingSetting(DataError, KeyError):
    """A probe or a cell refers to a setting that has no value in this environment."""

    def __init__(self, setting: str, variable: str | None, environment: str) -> None:
        self.setting = setting
        self.variable = variable
        what = (
            f"{variable} is not set, so the setting {setting} of environment {environment} has no value"
            if variable
            else f"environment {environment} has no setting {setting}"
        )
        remedy = "start the sandbox: proofbook sandbox up" if environment == "sandbox" and variable else None
        super().__init__(
            what, remedy=remedy or (f"set {variable}" if variable else f"add {setting} to the environment in system.yml")
        )


@dataclass(frozen=True, slots=True)
class Settled:
    """The settings of one environment of one system, with their variables filled in.

    Attributes:
        values: setting → value.
        missing: setting → the variable that it needs and that is not set.
        secrets: the values that came from ``${secret:…}``; never to be shown.

    """

    environment: str
    values: Mapping[str, str]
    missing: Mapping[str, str]
    secrets: frozenset[str]

    def fill(self, text: str) -> str:
        """Put the settings' values in place of each ``{name}``; other braces stay as they are.

        Raises:
            MissingSetting: the text refers to a setting that has no value here.

        """

        def value(match: re.Match[str]) -> str:
            name = match.group(1)
            if name not in self.values:
                raise MissingSetting(name, self.missing.get(name), self.environment)
            return self.values[name]

        return _SETTING.sub(value, text)

    def mask(self, text: str) -> str:
        """The text with each secret value replaced by ``•••``."""
        for secret in sorted(self.secrets, key=len, reverse=True):
            text = text.replace(secret, "•••")
        return text


def resolve(system: System, environment: str, variables: Mapping[str, str]) -> Settled:
    """Fill the variables of a system's environment; what is not set is named, not guessed.

    Raises:
        DataError: the system has no such environment.

    """
    if environment not in system.environments:
        raise DataError(
            f"{system.name} has no environment `{environment}`",
            where=str(system.path),
            expected="one of " + ", ".join(system.environments),
            remedy="name one of these by --environment, or add it to system.yml",
        )
    values: dict[str, str] = {}
    missing: dict[str, str] = {}
    secrets: set[str] = set()
    for setting, template in system.environments[environment].settings.items():
        needed = _VARIABLE.findall(template)
        absent = [name for _, name in needed if not variables.get(name)]
        if absent:
            missing[setting] = absent[0]
            continue
        values[setting] = _VARIABLE.sub(lambda match: variables[match.group(2)], template)
        secrets.update(variables[name] for secret, name in needed if secret)
    return Settled(environment, values, missing, frozenset(secrets))
