"""A person at a browser: reads a page, fills in its form, presses a button by its words, follows what comes."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser
from types import TracebackType
from typing import Any, Self
from urllib.parse import urljoin, urlsplit

import httpx2
from starlette.types import ASGIApp

HOPS = 10
VOID = {"meta", "link", "input", "br", "img", "hr"}


@dataclass
class Form:
    """One form as it stands: what is filled in and checked, and its buttons by their words."""

    action: str
    method: str
    fields: list[tuple[str, str]] = field(default_factory=list)
    radios: dict[str, list[tuple[str, bool]]] = field(default_factory=dict)
    """Name → (value, enabled)."""
    boxes: list[tuple[str, str]] = field(default_factory=list)
    buttons: dict[str, tuple[str | None, str]] = field(default_factory=dict)


class Page(HTMLParser):
    """A page as somebody sees it who reads and does not run scripts."""

    def __init__(self, response: httpx2.Response) -> None:
        super().__init__()
        self.response, self.status, self.html = response, response.status_code, response.text
        self.forms: list[Form] = []
        self.links: dict[str, str] = {}
        self.headings: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.stack: list[tuple[str, dict[str, str | None], list[str]]] = []
        self.words: list[str] = []
        self.feed(self.html)
        assert not self.stack, f"left open: {[tag for tag, _, _ in self.stack]}"

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    @property
    def buttons(self) -> list[str]:
        return [words for form in self.forms for words in form.buttons]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        told = dict(attrs)
        assert len(told) == len(attrs), f"{tag} repeats an attribute"
        self.tags.append((tag, told))
        if tag == "form":
            self.forms.append(Form(told.get("action") or "", told.get("method") or "get"))
        if tag == "input":
            self._input(told)
        if tag not in VOID:
            self.stack.append((tag, told, []))

    def _input(self, told: dict[str, str | None]) -> None:
        form, name, value = self.forms[-1], told["name"] or "", told.get("value") or ""
        match told.get("type"):
            case "radio":
                form.radios.setdefault(name, []).append((value, "disabled" not in told))
                if "checked" in told:
                    form.fields.append((name, value))
            case "checkbox":
                form.boxes.append((name, value))
                if "checked" in told:
                    form.fields.append((name, value))
            case _:
                form.fields.append((name, value))

    def handle_data(self, data: str) -> None:
        if not any(tag in {"style", "script", "title"} for tag, _, _ in self.stack):
            self.words.append(data)
        for _, _, inside in self.stack:
            inside.append(data)

    def handle_endtag(self, tag: str) -> None:
        opened, told, inside = self.stack.pop()
        assert opened == tag, f"</{tag}> closes <{opened}>"
        words = " ".join("".join(inside).split())
        if tag == "button":
            self.forms[-1].buttons[words] = (told.get("name"), told.get("value") or "")
        elif tag == "a":
            self.links[words] = told.get("href") or ""
        elif tag in {"h1", "h2", "h3"}:
            self.headings.append(words)


class Browser:
    """One browser: its cookies, where it is, and every address it was sent to outside."""

    def __init__(self, server: ASGIApp, origin: str, session: str = "", **headers: str) -> None:
        self.origin = origin
        self.http = httpx2.AsyncClient(transport=httpx2.ASGITransport(server), base_url=origin, headers=headers)
        if session:
            self.http.cookies.set("session", session)
        self.page = Page(httpx2.Response(200, text=""))
        self.url = ""
        self.left = ""
        """The address of another site the browser was sent to, and went no further."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.http.aclose()

    async def open(self, url: str) -> Page:
        """Type an address, or follow a link."""
        return await self._go("GET", urljoin(self.url or self.origin + "/", url))

    async def follow(self, words: str) -> Page:
        """Click a link."""
        return await self.open(self.page.links[words])

    async def press(self, button: str, *, nth: int = 0, **chosen: Any) -> Page:
        """Choose in a form and press one of its buttons."""
        form = [form for form in self.page.forms if button in form.buttons][nth]
        sent = [(name, value) for name, value in form.fields if name not in chosen]
        for name, value in chosen.items():
            values = value if isinstance(value, list) else [value]
            assert all((one, True) in form.radios.get(name, []) or (name, one) in form.boxes for one in values)
            sent += [(name, one) for one in values]
        for name, known in form.radios.items():
            assert any(given == name for given, _ in sent) or button == "Cancel", f"{name} is required: {known}"
        name_of, value_of = form.buttons[button]
        sent += [(name_of, value_of)] if name_of else []
        assert form.method == "post"
        return await self._go("POST", urljoin(self.url, form.action), sent)

    async def _go(self, method: str, url: str, form: list[tuple[str, str]] | None = None) -> Page:
        self.left = ""
        for _ in range(HOPS):
            if not url.startswith(f"{self.origin}/"):
                self.left = url
                return self.page
            headers = {"Sec-Fetch-Site": "same-origin", "Origin": "null"} if method == "POST" else {}
            body = None if form is None else {name: [v for n, v in form if n == name] for name, _ in form}
            response = await self.http.request(method, url, data=body, headers=headers)
            location = response.headers.get("location")
            if location is None:
                self.url, self.page = url, Page(response)
                return self.page
            assert response.status_code == 303
            method, url, form = "GET", urljoin(url, location), None
        raise AssertionError("it goes round in circles")

    @property
    def query(self) -> dict[str, str]:
        """What the other site is told."""
        return dict(httpx2.URL(self.left).params)

    @property
    def place(self) -> str:
        """Where the browser is, without the query."""
        return urlsplit(self.url).path
