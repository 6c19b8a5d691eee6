"""Status and stories on a terminal."""

from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from dicom_node.delivering.deliver import objects

_NEWEST = ("case", "round", "state", "since", "read_by", "left_out", "reason")


def status_page(console: Console, told: dict[str, Any]) -> None:
    """Print where everything stands."""
    counts = "  ".join(f"{state} {count}" for state, count in told["cases"].items())
    console.print(counts or "no cases yet", highlight=False)
    console.print(f"last image: {told['last_image_at'] or 'none yet'}", highlight=False)
    for name, count in told["owed"].items():
        console.print(f"owed to {name}: {objects(count)}", highlight=False)
    for name, why in told["unreachable"].items():
        console.print(f"[red]cannot reach[/] {name}: {why}", highlight=False)
    for name, one in told["parked"].items():
        said = f"[red]will not take[/] {objects(one['objects'])}: {name}: {one['why']}"
        console.print(said, highlight=False)
    for name, one in told["lost"].items():
        said = f"[red]cannot be sent[/] {objects(one['objects'])}: {name}: {one['why']}"
        console.print(said, highlight=False)
    for name, one in told["not_committed"].items():
        said = f"[red]does not promise to keep[/] {one['objects']} objects: {name}: {one['why']}"
        console.print(said, highlight=False)
    _alarms(console, told)
    for one in told["refused"]:
        said = f"{one['at']}  {one['what']}: {one['why']}"
        console.print(said, highlight=False, markup=False, soft_wrap=True)
    if told["newest"]:
        console.print(_table([_with_recall(one) for one in told["newest"]], _NEWEST))
    for one in told["newest"]:  # whole on any terminal
        said = f"case {one['case']}  study {one['study_uid']}"
        console.print(said, highlight=False, soft_wrap=True)


def _alarms(console: Console, told: dict[str, Any]) -> None:
    """Print what somebody has to look at."""
    if told["bell"]:
        console.print(f"[red]the bell:[/] {escape(told['bell'])}", highlight=False)
    if told["trail_broken"]:
        said = f"[red]the audit trail was tampered with[/] {escape(told['trail_broken'])}"
        console.print(said, highlight=False)
    for one in told.get("drift", ()):
        if one["alarm"]:
            said = f"[red]scores drift[/] {escape(one['device'])}: {escape(one['sentence'])}"
            console.print(said, highlight=False, soft_wrap=True)


def _with_recall(told: dict[str, Any]) -> dict[str, Any]:
    """Let a recall stand before any other reason."""
    if not told["recalled"]:
        return told
    return {**told, "reason": f"RECALLED: {told['recalled']}; {told['reason']}"}


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
        columns = ("destination", "kind", "receipt", "attempts", "delivered_at", "last_error")
        console.print(_table(rows, columns))
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
