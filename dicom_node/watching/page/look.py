"""The page as HTML: plain, without scripts, and nothing in it that comes from elsewhere."""

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any

from dicom_node.watching.latency import duration

RESEARCH = "For research use only. Not for diagnosis."
REFRESH_SECONDS = 30
_NEWEST = ("case", "round", "state", "since", "read_by", "left_out", "reason")
_DRIFT = ("device", "bundle", "exams", "mean", "drift")
_LEGS = ("leg", "cases", "half", "most", "longest", "waits_now")
_TROUBLE, _DONE = {"FAILED"}, {"DELIVERED"}


def login_page(said: str = "") -> str:
    """Ask for name and password."""
    return _page(
        "Log in",
        '<main class="login"><h1>Four Views</h1>',
        f'<p class="bad" role="alert">{escape(said)}</p>' if said else "",
        '<form method="post" action="/login">',
        '<label>Name <input name="name" autocomplete="username" required autofocus></label>',
        '<label>Password <input name="password" type="password" '
        'autocomplete="current-password" required></label>',
        "<button>Log in</button></form></main>",
    )


def status_page(told: Mapping[str, Any], user: str) -> str:
    """Show where everything stands."""
    return _page(
        f"{told['ae_title']}: status",
        f"<header><h1>{escape(told['ae_title'])}</h1>",
        f'<form method="post" action="/logout"><span>{escape(user)}</span> ',
        "<button>Log out</button></form></header><main>",
        *_tiles(told["cases"]),
        *_facts(told),
        *_section("Failed, and why", told["failures"], ("case", "since", "reason")),
        *_section("Held until somebody says", told["held"], ("case", "reason")),
        *_section("Turned away last", told["refused"], ("at", "what", "why")),
        *_section("Being worked on", told["working"], ("case", "state", "held_by")),
        *_section("How long it took lately", [_leg(one) for one in told["legs"]], _LEGS),
        *_section("Newest cases", told["newest"], _NEWEST),
        *_section("Read by", told["models"], ("name", "version", "system", "weights")),
        *_section("Scores beside the card", [_beside(one) for one in told["drift"]], _DRIFT),
        "</main>",
        refresh=True,
    )


def _page(title: str, *parts: str, refresh: bool = False) -> str:
    again = f'<meta http-equiv="refresh" content="{REFRESH_SECONDS}">' if refresh else ""
    return "".join(
        (
            '<!doctype html><html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f'{again}<title>{escape(title)}</title><link rel="stylesheet" href="/style.css">',
            "</head><body>",
            *parts,
            f"<footer>{RESEARCH}</footer></body></html>",
        )
    )


def _tiles(cases: Mapping[str, int]) -> Iterator[str]:
    """Show how many cases are in each state."""
    yield '<section class="tiles" aria-label="Cases by state">'
    for state, count in cases.items():
        mood = "bad" if state in _TROUBLE else "good" if state in _DONE else "plain"
        yield f'<div class="tile {mood}"><b>{count}</b><span>{escape(state)}</span></div>'
    yield "" if cases else "<p>No cases yet.</p>"
    yield "</section>"


def _facts(told: Mapping[str, Any]) -> Iterator[str]:
    """Show the last image, the roads, and the disk."""
    yield '<section><h2>Now</h2><dl class="facts">'
    yield _fact("Last image", told["last_image_at"] or "none yet")
    for name in sorted({*told["destinations"], *told["owed"]}):
        count = told["owed"].get(name, 0)
        yield _fact(f"Owed to {name}", f"{count} objects" if count else "nothing")
    for name, why in told["unreachable"].items():
        yield _fact("Cannot be reached", f"{name}: {why}", "bad")
    for title, places in (
        ("Will not take", told["parked"]),
        ("Cannot be sent", told["lost"]),
        ("Does not promise to keep", told["not_committed"]),
    ):
        for name, one in places.items():
            yield _fact(title, f"{name}: {one['objects']} objects: {one['why']}", "bad")
    for one in told["drift"]:
        if one["alarm"]:
            yield _fact("Scores drift", f"{one['device']}: {one['sentence']}", "bad")
    is_low = told["free_bytes"] < max(told["reserve_bytes"], told["warning_bytes"])
    room = f"{told['free_bytes'] >> 20:,} MB free, {told['reserve_bytes'] >> 20:,} MB kept back"
    yield _fact("Disk", room, "bad" if is_low else "")
    yield _fact("Version", told["version"])
    yield "</dl></section>"


def _beside(one: Mapping[str, Any]) -> Mapping[str, Any]:
    """Say where a device's scores cannot be judged that they are not."""
    if one["judged"]:
        return one
    count = f"{one['exams']} of {one['wanted']}"
    return {**one, "exams": count, "mean": "-", "drift": "not judged yet"}


def _leg(one: Mapping[str, Any]) -> Mapping[str, Any]:
    """Say how long a leg took, in words."""
    times = {key: duration(one[key]) for key in ("half", "most", "longest")}
    name = f"{one['from']} to {one['to']}"
    return {"leg": name, "cases": one["cases"], **times, "waits_now": duration(one["waits"])}


def _fact(name: str, value: str, mood: str = "") -> str:
    return f'<dt>{escape(name)}</dt><dd class="{mood}">{escape(value)}</dd>'


def _section(
    title: str, rows: Sequence[Mapping[str, Any]], columns: Sequence[str]
) -> Iterator[str]:
    """Show a table; one without rows says so."""
    yield f"<section><h2>{escape(title)}</h2>"
    if not rows:
        yield "<p>None.</p></section>"
        return
    heads = "".join(f"<th>{escape(one.replace('_', ' '))}</th>" for one in columns)
    yield f'<div class="wide"><table><thead><tr>{heads}</tr></thead><tbody>'
    for row in rows:
        cells = "".join(f"<td>{escape(str(row[one]))}</td>" for one in columns)
        yield f"<tr>{cells}</tr>"
    yield "</tbody></table></div></section>"
