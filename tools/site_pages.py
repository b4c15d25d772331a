"""Pages of the documentation's site that are made while it is built; a hook of MkDocs.

The overview is README.md. Files of the repository that the pages link to, outside docs, become part of the
site, so that no link leads out of it.
"""

from __future__ import annotations

import posixpath
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]
_OUTSIDE = "repository"  # folder of the site for files that lie outside docs
_LINK = re.compile(r"(?<=\]\()(?!\w+:|#)([^)#\s]+)")
_LIBRARY = "# Library\n\n::: glandseg.runtime.library\n"
_DESCRIBE = (sys.executable, "-m", "typer", "glandseg.cli.main", "utils", "docs", "--name", "glandseg")


def on_files(files: Files, config: Any) -> Files:
    """Add the overview, the reference, and what pages link to outside docs."""
    commands = subprocess.run(_DESCRIBE, cwd=ROOT, check=True, capture_output=True, encoding="utf-8").stdout
    pages = {
        "index.md": (ROOT / "README.md").read_text(encoding="utf-8"),
        "reference/commands.md": commands,
        "reference/library.md": _LIBRARY,
    }
    outside = {
        path for file in files.documentation_pages() for path in list_outside(file.content_string, "docs")
    }
    outside |= set(list_outside(pages["index.md"], ""))
    pages["index.md"] = redirect(pages["index.md"], "")
    for uri, content in pages.items():
        files.append(File.generated(config, uri, content=content))
    for path in sorted(outside):
        if (ROOT / path).is_file():
            files.append(File.generated(config, f"{_OUTSIDE}/{path}", abs_src_path=str(ROOT / path)))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Let a page's links find the files that `on_files` added."""
    return markdown if page.file.generated_by else redirect(markdown, "docs")


def list_outside(text: str, folder: str) -> list[str]:
    """List the repository's files, outside docs, that a page in a folder links to."""
    found = (posixpath.normpath(posixpath.join(folder, link)) for link in _LINK.findall(text))
    return [path for path in found if not path.startswith("docs/")]


def redirect(text: str, folder: str) -> str:
    """Return a page of a folder with its links as the site has them."""

    def replace(match: re.Match[str]) -> str:
        path = posixpath.normpath(posixpath.join(folder, match[1]))
        return path.removeprefix("docs/") if path.startswith("docs/") else f"{_OUTSIDE}/{path}"

    return _LINK.sub(replace, text)
