"""Check a built site: every local link and picture leads to a file, every anchor to its place.

Usage: ``python docs/check_links.py docs/_build``. Links to other sites are not followed.
"""

import sys
from collections import defaultdict
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit


class Page(HTMLParser):
    """The targets and anchors of one HTML page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.targets: set[str] = set()
        self.anchors: set[str] = {""}
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what a tag points to and what it is called."""
        for name, value in attrs:
            if value and name in ("href", "src"):
                self.targets.add(value)
            elif value and name == "srcset":
                self.targets |= {part.split()[0] for part in value.split(",")}
            elif value and name in ("id", "name"):
                self.anchors.add(value)


def broken(site: Path) -> dict[Path, list[str]]:
    """Find links that lead nowhere.

    Args:
        site: Folder of the built site.

    Returns:
        The broken targets of each page that has any.
    """
    pages = {path.resolve(): Page(path) for path in site.rglob("*.html")}
    found = defaultdict(list)
    for path, page in pages.items():
        for target in sorted(page.targets):
            link = urlsplit(target)
            if link.scheme or link.netloc:
                continue
            file = (path.parent / unquote(link.path)).resolve() if link.path else path
            there = file.exists()
            if there and link.fragment and file in pages:
                there = unquote(link.fragment) in pages[file].anchors
            if not there:
                found[path].append(target)
    return found


if __name__ == "__main__":
    faults = broken(Path(sys.argv[1]))
    for path, targets in faults.items():
        print(f"{path}: {', '.join(targets)}", file=sys.stderr)
    sys.exit(bool(faults))
