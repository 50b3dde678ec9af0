"""Pages of the site as a parser sees them."""

from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

EMPTY = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}


@dataclass
class Page:
    """One page.

    Attributes:
        ids: every id, as often as it stands there.
        links: what `href` and `src` say.
        alternatives: what is said in place of each picture.
        inside: by id of an element, the tags within it, each with its attributes.
        text: what is to be read.
    """

    ids: list[str] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    alternatives: list[str] = field(default_factory=list)
    inside: dict[str, list[tuple[str, dict]]] = field(default_factory=dict)
    text: str = ""


class Reader(HTMLParser):
    """Fill a page."""

    def __init__(self):
        super().__init__()
        self.page, self.open = Page(), []

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        for _, around in self.open:
            if around:
                self.page.inside[around].append((tag, attributes))
        self.page.links += [attributes[name] for name in ("href", "src") if attributes.get(name)]
        if tag == "img":
            self.page.alternatives.append(attributes.get("alt", ""))
        if id := attributes.get("id"):
            self.page.ids.append(id)
            self.page.inside.setdefault(id, [])
        if tag not in EMPTY:
            self.open.append((tag, id))

    def handle_endtag(self, tag):
        while any(tag == opened for opened, _ in self.open) and self.open.pop()[0] != tag:
            pass

    def handle_data(self, data):
        self.page.text += data


def read_pages(folder):
    """Every page below a folder, but for those that Sphinx brings as parts of scripts."""
    paths = [path for path in folder.rglob("*.html") if "_static" not in path.parts]
    return {path: read_page(path) for path in sorted(paths)}


def read_page(path):
    reader = Reader()
    reader.feed(path.read_text())
    reader.page.text = " ".join(reader.page.text.split())
    return reader.page


def is_outside(link):
    return bool(urlsplit(link).scheme or urlsplit(link).netloc)


def follow(path, link):
    """The file that a link on a page means, and the id in it."""
    parts = urlsplit(link)
    target = Path(path).parent / unquote(parts.path) if parts.path else path
    return target.resolve(), unquote(parts.fragment)
