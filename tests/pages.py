"""HTML as a browser sees it, for tests of pages."""

from html.parser import HTMLParser

EMPTY = {"area", "base", "br", "col", "hr", "img", "input", "link", "meta", "source", "wbr"}


class Page(HTMLParser):
    """Elements in their order, each with its attributes, its text and what it stands in; nested as
    they should be.
    """

    def __init__(self, text):
        super().__init__()
        self.html = text
        self.elements = []
        self.open = []
        self.texts = []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        element = {
            "tag": tag,
            "text": "",
            "within": [outer["tag"] for outer, _ in self.open],
            **dict(attrs),
        }
        self.elements.append(element)
        if tag not in EMPTY:
            self.open.append((element, len(self.texts)))

    def handle_endtag(self, tag):
        if tag not in EMPTY:
            element, start = self.open.pop()
            assert element["tag"] == tag
            element["text"] = "".join(self.texts[start:])

    def handle_data(self, data):
        self.texts.append(data)

    def all(self, *tags):
        return [element for element in self.elements if element["tag"] in tags]

    def one(self, tag):
        (element,) = self.all(tag)
        return element

    def rows(self):
        """Return the rows of all tables: alignment and text of each cell."""
        rows = []
        for element in self.all("tr", "td", "th"):
            if element["tag"] == "tr":
                rows.append([])
            else:
                align = element["style"].removeprefix("text-align:").split(";")[0]
                rows[-1].append([align, element["text"]])
        return rows
