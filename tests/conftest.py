from __future__ import annotations

import signal

import pytest

# A shell without job control starts what it puts into the background deaf to Ctrl-C, and every process below inherits that;
# the tests that press Ctrl-C need ears.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

_LONGEST_FIRST = ("whole", "browser", "threats", "run", "cli", "schedule", "site", "sandbox", "services", "respond")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the rooms whose tests take long, so that no worker is left alone with one at the end."""
    rooms = {room: rank for rank, room in enumerate(_LONGEST_FIRST)}
    items.sort(key=lambda item: rooms.get(item.path.parent.name, len(rooms)))


@pytest.fixture(scope="session")
def httpserver_listen_address() -> tuple[str, int]:
    """By its address: whom a name leads to first, on another family's port of the same number, is not ours to say."""
    return "127.0.0.1", 0
