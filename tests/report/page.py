"""A reader of HTML for the tests: elements with their attributes and the text inside them."""

from html.parser import HTMLParser
from typing import NamedTuple

VOID = {"meta", "link", "br", "img", "input", "line", "circle", "hr"}


class Element(NamedTuple):
    tag: str
    attributes: dict[str, str | None]
    pieces: list[str]

    @property
    def text(self) -> str:
        return " ".join("".join(self.pieces).split())

    def has_class(self, name: str) -> bool:
        return name in (self.attributes.get("class") or "").split()


class Page(HTMLParser):
    """Every element in the order of the document; `inside(element)` gives those that an element holds."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[Element] = []
        self._open: list[int] = []
        self._parents: list[tuple[int, ...]] = []
        self.feed(html)
        self.close()
        assert not self._open, [self.elements[i].tag for i in self._open]  # every element was closed

    def handle_starttag(self, tag, attributes):
        self._parents.append(tuple(self._open))
        self.elements.append(Element(tag, dict(attributes), []))
        if tag not in VOID:
            self._open.append(len(self.elements) - 1)

    def handle_startendtag(self, tag, attributes):
        self._parents.append(tuple(self._open))
        self.elements.append(Element(tag, dict(attributes), []))

    def handle_endtag(self, tag):
        assert self.elements[self._open[-1]].tag == tag
        self._open.pop()

    def handle_data(self, data):
        for index in self._open:
            self.elements[index].pieces.append(data)

    def all(self, tag: str) -> list[Element]:
        return [element for element in self.elements if element.tag == tag]

    def inside(self, outer: Element, tag: str) -> list[Element]:
        place = next(i for i, element in enumerate(self.elements) if element is outer)
        pairs = zip(self.elements, self._parents, strict=True)
        return [element for element, parents in pairs if place in parents and element.tag == tag]
