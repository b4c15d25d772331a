"""`glandseg view`: a slide and its glands in the browser."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from glandseg.cli.console import say


def view(
    slide: Annotated[Path, typer.Argument(help="Slide that `glandseg infer` has run on.")],
    out: Annotated[
        Path | None, typer.Option(help="Folder of the outputs; by default that of the slide.")
    ] = None,
    browser: Annotated[bool, typer.Option(help="Open the page in the default browser.")] = True,
) -> None:
    """Show a slide's report in the browser, with the slide at full resolution, until Ctrl-C.

    Only this machine can open the page.
    """
    import webbrowser

    from glandseg.runtime.view.open_view import open_view
    from glandseg.runtime.view.server import serve

    def announce(url: str) -> None:
        say(f"{slide.name}: {url} (Ctrl-C ends it)")
        if browser:
            webbrowser.open(url)

    with open_view(slide, out) as server:
        try:
            serve(server, announce)
        except KeyboardInterrupt:
            say("ended")
