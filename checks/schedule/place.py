"""What a scheduler works on, read anew when people have changed it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from checks.catalogue import Catalogue, load
from checks.errors import ProofbookError

_WRITTEN = ("mkdocs.yml", "docs/systems/*/system.yml", "notebooks/*/*.md")


@dataclass(frozen=True, slots=True)
class Place:
    """What a scheduler works on.

    Attributes:
        variables: what ``${NAME}`` in system.yml is filled from.

    """

    catalogue: Catalogue
    environment: str
    variables: Mapping[str, str]


class Lookout:
    """Gives the place as it is now; the same catalogue as long as no file of it has changed.

    Args:
        root: the project's folder.
        environment: where systems live; ``None``: the one that mkdocs.yml names when first asked.
        variables: fills settings, from the state folder and the environment's name.

    """

    def __init__(self, root: Path, environment: str | None, variables: Callable[[Path, str], Mapping[str, str]]) -> None:
        self._root = root
        self._environment = environment
        self._variables = variables
        self._seen: frozenset[tuple[str, int, int]] = frozenset()
        self._found: Catalogue | ProofbookError | None = None

    def __call__(self) -> Place:
        """Look.

        Raises:
            CatalogueErrors: what people wrote is not valid now; it is read again when it has changed.

        """
        seen = self._written()
        if self._found is None or seen != self._seen:
            self._seen = seen
            try:
                self._found = load(self._root)
            except ProofbookError as error:
                self._found = error
        if isinstance(self._found, ProofbookError):
            raise self._found
        self._environment = self._environment or self._found.settings.environment
        return Place(self._found, self._environment, self._variables(self._found.settings.state, self._environment))

    def _written(self) -> frozenset[tuple[str, int, int]]:
        paths = [path for pattern in _WRITTEN for path in self._root.glob(pattern)]
        found = set()
        for path in paths:
            try:
                stat = path.stat()
            except OSError:
                continue  # it went between two looks
            found.add((str(path), stat.st_mtime_ns, stat.st_size))
        return frozenset(found)
