"""``proofbook serve``: the published site, on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from checks.cli._shared import RootOption, root_of, say

if TYPE_CHECKING:
    from http.server import ThreadingHTTPServer

_USUAL_PORT = 8000

PortOption = Annotated[
    int | None,
    typer.Option(
        "--port", min=0, max=65535, help="Where to listen; default: 8000, or a free one if that is taken.", show_default=False
    ),
]
ToOption = Annotated[Path | None, typer.Option("--to", help="The folder of publications; default: public.", show_default=False)]


def serve(
    port: PortOption = None,
    to: ToOption = None,
    root: RootOption = None,
) -> None:
    """Serve the published site on 127.0.0.1 until you press Ctrl-C; a new publication shows at the next request.

    Example: `proofbook serve --port 8080`
    """
    from checks.errors import ServiceAway
    from checks.site.publish import current

    folder = (to or root_of(root) / "public").absolute()
    if current(folder) is None:
        raise ServiceAway("nothing is published there yet", where=str(folder), remedy="publish it: proofbook publish")
    until_stopped(folder, port)


def until_stopped(folder: Path, port: int | None) -> None:
    """Serve `folder`/current, say where, and return when the person stops it or the process is asked to end.

    Raises:
        Busy: the port that was asked for is taken.

    """
    import signal

    listening = _listen(folder / "current", port)
    host, at = str(listening.server_address[0]), listening.server_address[1]
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    print(f"http://{host}:{at}/", flush=True)
    say("press Ctrl-C to stop serving")
    try:
        listening.serve_forever()
    except KeyboardInterrupt:
        say("stopped")
    finally:
        listening.server_close()


def _listen(site: Path, port: int | None) -> ThreadingHTTPServer:
    from checks.errors import Busy
    from checks.site.server import server

    try:
        return server(site, _USUAL_PORT if port is None else port)
    except OSError as error:
        if port is None:
            return server(site, 0)
        raise Busy(
            f"port {port} cannot be listened on: {error.strerror}",
            where=f"127.0.0.1:{port}",
            remedy="give another by --port; 0 takes a free one",
        ) from error
