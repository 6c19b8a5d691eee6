"""One request as it came over the network, read strictly, and the answer that goes back."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs

HEAD_BYTES = 16 << 10
BODY_BYTES = 4 << 10
END_OF_HEAD = b"\r\n\r\n"
POLICY = (
    "default-src 'none'; style-src 'self'; form-action 'self'; frame-ancestors 'none'; "
    "base-uri 'none'"
)
HEADERS = (
    ("Content-Security-Policy", POLICY),
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
    ("Referrer-Policy", "same-origin"),  # with none at all, forms come from "null"
    ("Cache-Control", "no-store"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
)
_LINE = re.compile(r"([A-Z]{1,10}) (/[!-~]{0,2000}) HTTP/1\.[01]")
_HEADER = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}):[ \t]*([ -~\t]*?)[ \t]*")


class Unreadable(Exception):
    """Say that a request is none, with the status that tells so."""

    def __init__(self, status: HTTPStatus) -> None:
        super().__init__(status.phrase)
        self.status = status


@dataclass(frozen=True, slots=True)
class Asked:
    """One request."""

    method: str
    path: str
    headers: Mapping[str, str]
    address: str  # who asks
    body: bytes = b""

    @property
    def form(self) -> dict[str, str]:
        """Return what was typed into a form."""
        try:
            fields = parse_qs(self.body.decode("ascii"), max_num_fields=8, errors="strict")
        except ValueError:
            return {}
        return {name: values[0] for name, values in fields.items()}

    def cookie(self, name: str) -> str:
        """Return a cookie, or nothing."""
        try:
            kept = SimpleCookie(self.headers.get("cookie", "")).get(name)
        except CookieError:
            return ""
        return kept.value if kept is not None else ""


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back."""

    status: HTTPStatus
    body: bytes = b""
    kind: str = "text/plain; charset=utf-8"
    headers: tuple[tuple[str, str], ...] = field(default=())


def words(status: HTTPStatus, said: str = "", *headers: tuple[str, str]) -> Answer:
    """Answer with a line of text."""
    return Answer(status, f"{said or status.phrase}\n".encode(), headers=headers)


def head_of(content: bytes, address: str) -> tuple[Asked, int]:
    """Read the head of a request, and how long its body is; refuse what could be read two ways."""
    first, *lines = content.decode("latin-1").split("\r\n")
    line = _LINE.fullmatch(first)
    if line is None:
        raise Unreadable(HTTPStatus.BAD_REQUEST)
    headers: dict[str, str] = {}
    for one in lines:
        found = _HEADER.fullmatch(one)
        if found is None or found[1].lower() in headers:
            raise Unreadable(HTTPStatus.BAD_REQUEST)
        headers[found[1].lower()] = found[2]
    if "transfer-encoding" in headers:
        raise Unreadable(HTTPStatus.NOT_IMPLEMENTED)
    length = headers.get("content-length", "0")
    if not (length.isascii() and length.isdigit()):
        raise Unreadable(HTTPStatus.BAD_REQUEST)
    if len(length) > len(str(BODY_BYTES)) or int(length) > BODY_BYTES:
        raise Unreadable(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
    return Asked(line[1], line[2].partition("?")[0], headers, address), int(length)
