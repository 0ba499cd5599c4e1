"""A person at a browser, without the browser: follows redirects, fills in forms, presses a button."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser
from http.client import HTTPConnection
from http.cookies import SimpleCookie
from urllib.parse import urlencode, urljoin, urlsplit

STEPS = 10


class ConsentRefused(Exception):
    """The server showed the person an error page instead of a form; the client's redirect URI was never reached."""

    def __init__(self, status: int, page: str) -> None:
        super().__init__(f"HTTP {status}: {page[:500]}")
        self.status, self.page = status, page


@dataclass(frozen=True)
class Page:
    url: str
    status: int
    location: str | None
    text: str


@dataclass
class Form(HTMLParser):
    """The only form of a page: its fields and its buttons, in their order."""

    html: str
    action: str = ""
    fields: dict[str, str] = field(default_factory=dict)
    buttons: list[tuple[str | None, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()
        self.feed(self.html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        told = dict(attrs)
        kind, name, value = told.get("type"), told.get("name"), told.get("value") or ""
        if tag == "form":
            self.action = told.get("action") or ""
        elif tag == "button" or (tag == "input" and kind == "submit"):
            self.buttons.append((name, value))
        elif tag == "input" and name:
            self.fields[name] = value


class Browser:
    """Cookies of one person at one server."""

    def __init__(self, origin: str) -> None:
        self.origin, self.address = origin, urlsplit(origin).netloc
        self.cookies: SimpleCookie = SimpleCookie()

    def open(self, url: str, form: dict[str, str] | None = None) -> Page:
        headers = {"Cookie": "; ".join(f"{name}={kept.value}" for name, kept in self.cookies.items())}
        if form is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        parts = urlsplit(url)
        connection = HTTPConnection(self.address, timeout=30)
        try:
            body = None if form is None else urlencode(form)
            connection.request("GET" if form is None else "POST", f"{parts.path}?{parts.query}", body, headers)
            response = connection.getresponse()
            text = response.read().decode()
        finally:
            connection.close()
        for kept in response.headers.get_all("Set-Cookie", []):
            self.cookies.load(kept)
        return Page(url, response.status, response.headers["Location"], text)

    def consent(self, authorize_url: str, name: str, password: str, *, allow: bool) -> str:
        """Log in where asked, allow or cancel; the callback URL is returned and not opened."""
        page = self.open(authorize_url)
        for _ in range(STEPS):
            if page.location is not None:
                target = urljoin(page.url, page.location)
                if not target.startswith(f"{self.origin}/"):
                    return target
                page = self.open(target)
                continue
            form = Form(page.text)
            if page.status != 200 or not form.buttons:
                raise ConsentRefused(page.status, page.text)
            filled = dict(form.fields)
            if "password" in filled:
                filled |= {"username": name, "password": password}
            else:
                pressed = [button for button in form.buttons if (button[0] == "allow") == allow]
                filled |= {key: value for key, value in pressed if key}
            page = self.open(urljoin(page.url, form.action), filled)
        raise ConsentRefused(page.status, page.text)
