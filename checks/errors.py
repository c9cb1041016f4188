"""One tree of errors; each says where, what was expected, what was found and how to mend it.

A sick system is a returned result, never one of these: an error here is broken input, a missing part or our own bug.
Exit codes follow BSD ``sysexits.h``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class Place:
    """A position in a file that a person wrote; line and column count from 1."""

    path: Path
    line: int | None = None
    column: int | None = None

    def __str__(self) -> str:
        return ":".join(str(part) for part in (self.path, self.line, self.column) if part is not None)


class ProofbookError(Exception):
    """Anything that Proofbook itself has to report; shown as one readable text, never as a traceback.

    Args:
        what: one sentence that says what is wrong.
        where: the place in a file, a URL or a name; ``None`` where there is none.
        expected: what would have been right.
        found: what stood there instead.
        remedy: what to do now, as an instruction.
        example: a valid sample, shown indented.

    """

    exit_code: ClassVar[int] = 70

    def __init__(
        self,
        what: str,
        *,
        where: Place | str | None = None,
        expected: str | None = None,
        found: str | None = None,
        remedy: str | None = None,
        example: str | None = None,
    ) -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.expected = expected
        self.found = found
        self.remedy = remedy
        self.example = example

    def __str__(self) -> str:
        lines = [f"{self.where}: {self.what}" if self.where is not None else self.what]
        for label, text in (("expected", self.expected), ("found", self.found), ("remedy", self.remedy)):
            if text is not None:
                lines.append(f"  {label}: {text}")
        if self.example is not None:
            lines.append("  example:")
            lines += [f"    {line}" for line in self.example.splitlines()]
        return "\n".join(lines)


class UsageError(ProofbookError):
    """The command was called wrongly."""

    exit_code = 64


class DataError(ProofbookError):
    """Something a person wrote (catalogue, runbook, parameter, limit) is not valid."""

    exit_code = 65


class CatalogueErrors(DataError):
    """Every fault found in one reading of the catalogue, so that all can be mended at once."""

    def __init__(self, errors: Sequence[DataError]) -> None:
        self.errors = tuple(errors)
        count = len(self.errors)
        super().__init__(f"{count} fault{'' if count == 1 else 's'} in the catalogue")

    def __str__(self) -> str:
        return "\n".join([*(str(error) for error in self.errors), "", self.what])


class ServiceAway(ProofbookError):
    """Something that Proofbook itself needs (journal database, sandbox) does not answer."""

    exit_code = 69


class CannotWrite(ProofbookError):
    """A file or folder could not be written; what stood there before still stands."""

    exit_code = 73


class Busy(ProofbookError):
    """Another process holds what is needed; try again later."""

    exit_code = 75


class Refused(ProofbookError):
    """The action is not allowed as asked, by design."""

    exit_code = 77
