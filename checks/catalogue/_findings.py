"""What the fail-open lint finds."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from checks.errors import DataError, Place


class Severity(Enum):
    """How sure it is that a check cannot fail: an error is certain, a finding may be meant so."""

    ERROR = "error"
    FINDING = "finding"


@dataclass(frozen=True, slots=True)
class Finding:
    """A place where a check cannot fail, or may not.

    Attributes:
        what: one sentence.
        remedy: what to do, as an instruction.

    """

    where: Place
    what: str
    remedy: str
    severity: Severity = Severity.FINDING

    def __str__(self) -> str:
        return f"{self.where}: {self.what}; {self.remedy}"

    def as_error(self) -> DataError:
        """The same as an error that is raised."""
        return DataError(self.what, where=self.where, remedy=self.remedy)
