"""Status and stories on a terminal."""

from textwrap import wrap
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from dicom_node.delivering.deliver import objects
from dicom_node.watching.latency import duration

INDENT = 6


def status_page(console: Console, told: dict[str, Any]) -> None:
    """Print where everything stands."""
    counts = [f"{state} {count}" for state, count in told["cases"].items()]
    for line in _packed(counts, console) or ["no cases yet"]:
        _say(console, line)
    _say(console, f"last image: {told['last_image_at'] or 'none yet'}")
    if disk := told.get("disk"):
        _say(console, disk["sentence"], "the disk fills up:" if disk["low"] else "")
    for name, count in told["owed"].items():
        _say(console, f"owed to {name}: {objects(count)}")
    for name, why in told["unreachable"].items():
        _say(console, f"{name}: {why}", "cannot reach")
    for what, key in (
        ("will not take", "parked"),
        ("cannot be sent", "lost"),
        ("does not promise to keep", "not_committed"),
    ):
        for name, one in told[key].items():
            _say(console, f"{objects(one['objects'])}: {name}: {one['why']}", what)
    _alarms(console, told)
    for one in told["refused"]:
        _say(console, f"{one['at']}  {one['what']}: {one['why']}")
    _legs(console, told["legs"])
    if told["newest"]:
        console.print(f"{'case':>{INDENT}}  round  state       since", style="bold")
    for one in told["newest"]:
        _case(console, one)


def _legs(console: Console, legs: list[dict[str, Any]]) -> None:
    """Print how long the newest cases took, leg by leg: lines of fixed width."""
    if legs:
        head = f"{'how long it took lately':<27}{'cases':>7}{'half':>10}{'95 %':>10}"
        console.print(f"{head}{'longest':>10}{'waits now':>12}", style="bold")
    for one in legs:
        times = [duration(one[name]) for name in ("half", "most", "longest", "waits")]
        row = f"{one['from']} to {one['to']}".ljust(27) + f"{one['cases']:>7}"
        row += "{:>10}{:>10}{:>10}{:>12}".format(*times)
        console.print(row, highlight=False, markup=False, soft_wrap=True)


def _case(console: Console, told: dict[str, Any]) -> None:
    """Print one case: a line of fixed width, and below it sentences, each whole."""
    row = f"{told['case']:>{INDENT}}  {told['round']:>5}  {told['state']:<10}  {told['since']}"
    console.print(row, highlight=False, markup=False, soft_wrap=True)
    recalled = f"RECALLED: {told['recalled']}" if told["recalled"] else ""
    named = {"read by": told["read_by"], "left out": told["left_out"], "study": told["study_uid"]}
    below = [recalled, told["reason"], *(f"{what} {one}" for what, one in named.items() if one)]
    for words in filter(None, below):
        _below(console, words)


def _alarms(console: Console, told: dict[str, Any]) -> None:
    """Print what somebody has to look at."""
    if told["bell"]:
        _say(console, told["bell"], "the bell:")
    if told["trail_broken"]:
        _say(console, told["trail_broken"], "the audit trail was tampered with")
    for one in told["held"]:
        _say(console, f"case {one['case']} is not read before `settle` says so: {one['reason']}")
    for one in told.get("drift", ()):
        if one["alarm"]:
            _say(console, f"{one['device']}: {one['sentence']}", "scores drift")
        elif not one["judged"]:
            _say(console, f"scores of {one['device']}: {one['sentence']}")


def _say(console: Console, words: str, alarm: str = "") -> None:
    """Print a sentence: between words a terminal may break it, in a pipe it is one line."""
    said = f"[red]{alarm}[/] {escape(words)}" if alarm else escape(words)
    console.print(said, highlight=False, soft_wrap=not console.is_terminal)


def _below(console: Console, words: str) -> None:
    """Print a sentence below what it is about."""
    lines = [words]
    if console.is_terminal:
        lines = wrap(words, console.width - INDENT, break_long_words=False, break_on_hyphens=False)
    for line in lines:
        console.print(" " * INDENT + line, highlight=False, markup=False, soft_wrap=True)


def _packed(words: list[str], console: Console) -> list[str]:
    """Put as many of these on a line as fit; in a pipe all."""
    lines: list[str] = []
    for one in words:
        longer = f"{lines[-1]}  {one}" if lines else one
        if lines and (len(longer) <= console.width or not console.is_terminal):
            lines[-1] = longer
        else:
            lines.append(one)
    return lines


def story_page(console: Console, told: dict[str, Any]) -> None:
    """Print the story of one case."""
    console.rule(f"case {told['case']}, round {told['round']}: {told['state']}", align="left")
    console.print(f"study {told['study_uid']}", highlight=False)
    if told["reason"]:
        console.print(told["reason"], highlight=False, markup=False)
    if recalled := told["recalled"]:
        said = f"RECALLED {recalled['at']} by {recalled['by']}: {recalled['why']}"
        console.print(said, highlight=False, markup=False, style="red")
    images = [{**image, "verdict": image["code"] or image["verdict"]} for image in told["images"]]
    console.print(_table(images, ("what", "from", "received_at", "verdict")))
    for image in told["images"]:  # a sentence of its own line is whole on any terminal
        if image["code"]:
            said = f"not read: {image['what']}  {image['verdict']}"
            console.print(said, highlight=False, markup=False, soft_wrap=True)
    reading = told["reading"]
    if reading is not None:
        console.print(f"read by {_reading(reading)}", highlight=False)
        for member in reading["members"]:
            console.print(f"  {_reading(member)}", highlight=False)
    _deliveries(console, told["deliveries"])
    for event in told["events"]:
        console.print(
            f"[dim]{event['at']}[/]  {escape(event['event'])}", highlight=False, soft_wrap=True
        )


def _deliveries(console: Console, rows: list[dict[str, Any]]) -> None:
    """Print who has what, and why the others have not."""
    if rows:
        columns = ("destination", "kind", "receipt", "attempts", "delivered_at")
        console.print(_table(rows, columns))
    ended = [one for one in rows if one["last_error"] and not one["waits"]]
    for one in ended:
        said = f"{one['receipt']}: {one['kind']} for {one['destination']}: {one['last_error']}"
        console.print(said, highlight=False, markup=False, soft_wrap=True)
    for name, why in dict.fromkeys((one["destination"], one["waits"]) for one in rows):
        if why:
            said = f"waits for {name}: {why}"
            console.print(said, highlight=False, markup=False, soft_wrap=True)


def _reading(told: dict[str, Any]) -> str:
    """Say who read, and what came out."""
    score, card = told["cancer_score"], told["card_score"]
    corrected = "" if card in (None, score) else f" ({card:.3f} as the card calibrates it)"
    return (
        f"{told['bundle']} ({told['system']}), weights {told['digest'][:12]}, "
        f"operating point {told['operating_point']}: "
        f"{'not judged' if score is None else f'score {score:.3f}{corrected}'}, "
        f"{told['findings']} findings"
    )


def _table(rows: list[dict[str, Any]], columns: tuple[str, ...]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column.replace("_", " "))
    for row in rows:
        table.add_row(*(escape(str(row[column])) for column in columns))
    return table
