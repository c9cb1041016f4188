"""Mappings that are read from the journal when somebody looks, many keys at once, and tell cheaply whether they have changed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Generic, TypeVar

V = TypeVar("V")


class Lazily(Mapping[str, V], Generic[V]):
    """Values by names that are known; what stands behind a name is loaded when it is first looked at.

    Args:
        names: every key.
        load: gives the values of some names at once; one that it leaves out has the value `empty`.
        version: what tells, without loading, whether the value of a name is as it was: equal versions, equal values.
        empty: the value of a name of which nothing is known.

    """

    def __init__(
        self, names: Iterable[str], load: Callable[[Sequence[str]], Mapping[str, V]], version: Callable[[str], str], empty: V
    ) -> None:
        self._names = dict.fromkeys(names)
        self._load = load
        self._version = version
        self._empty = empty
        self._loaded: dict[str, V] = {}

    def __getitem__(self, name: str) -> V:
        if name not in self._names:
            raise KeyError(name)
        if name not in self._loaded:
            self.need([name])
        return self._loaded[name]

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def __iter__(self) -> Iterator[str]:
        self.need(self._names)
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def need(self, names: Iterable[str]) -> None:
        """Load some names now, in one question, as they will be looked at."""
        missing = [name for name in names if name in self._names and name not in self._loaded]
        if missing:
            found = self._load(missing)
            self._loaded |= {name: found.get(name, self._empty) for name in missing}

    def loaded(self) -> list[str]:
        """The names that somebody has looked at."""
        return list(self._loaded)

    def version(self, name: str) -> str:
        """What tells whether the value of a name is as it was."""
        return self._version(name) if name in self._names else "absent"

    def versions(self) -> str:
        """What tells whether any value is as it was."""
        return "\n".join(f"{name} {self._version(name)}" for name in self._names)
