"""`dicom-node rules` and `dicom-node rules test`: which images are read, and why one is not."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dicom_node.commands.at_hand import JSON, foreign, open_node, say
from dicom_node.eligibility import Accept

if TYPE_CHECKING:
    from dicom_node.analyzing.explain import Explained, ExplainedStudy
    from dicom_node.analyzing.rules import Rule, Terms

app = typer.Typer(invoke_without_command=True)


def _terms() -> "Terms":
    from dicom_node.analyzing.accept import terms_of

    node = open_node(check=False)
    return terms_of(node.settings, node.reads)


@app.callback()
def rules(context: typer.Context, *, as_json: JSON = False) -> None:
    """List the rules by which images and studies are read, and the settings that steer them."""
    if context.invoked_subcommand is not None:
        return
    from dicom_node.analyzing.accept import rules as every_rule
    from dicom_node.analyzing.own_rules import sentence

    terms = _terms()
    told = [_row(rule, terms.accept) for rule in every_rule()]
    if as_json:
        typer.echo(json.dumps({"reads": sorted(terms.reads), "rules": told}, indent=1))
        return
    say(f"the bundle reads: {', '.join(sorted(terms.reads))}")
    say("an image (I) is read only if, and a study (S) is declined, or an image left out, if:")
    for row in told:
        say(f"[bold]{row['code']}[/] {foreign(row['asks'])}")
        for key, value in row["settings"].items():
            if key != "rules":
                say(f"      {key} = {foreign(json.dumps(value))}")
        for own in terms.accept.rules if "rules" in row["settings"] else ():
            say(f"      [bold]{foreign(own.name)}[/]: {foreign(sentence(own))}")


def _row(rule: "Rule", accept: Accept) -> dict[str, Any]:
    values = accept.model_dump(mode="json")
    return {
        "code": rule.code,
        "name": rule.name,
        "asks": rule.asks,
        "plain": rule.plain,
        "settings": {key: values[key] for key in rule.keys},
    }


@app.command("test")
def judge_files(
    files: Annotated[list[Path], typer.Argument(help="Files, or folders of them.")],
    *,
    every: Annotated[
        bool, typer.Option("--every", help="Show the rules that a file keeps, too.")
    ] = False,
    as_json: JSON = False,
) -> None:
    """Say what the node would do with files, rule by rule. Exit 1 where one is not read."""
    from dicom_node.analyzing.explain import explain
    from dicom_node.logs import hush

    hush()
    broken, studies = explain(files, _terms())
    if as_json:
        told = {
            "not_dicom": [_told(one) for one in broken],
            "studies": [_told_study(study) for study in studies],
        }
        typer.echo(json.dumps(told, indent=1))
    else:
        if not (broken or studies):
            say("there are no files to judge")
        for one in broken:
            _show(one, every=every)
        for study in studies:
            _show_study(study, every=every)
    seen = [*broken, *(one for study in studies for one in study.files)]
    fine = seen and all(one.judged.declined is None for one in seen)
    raise typer.Exit(0 if fine and all(one.study.declined is None for one in studies) else 1)


def _show_study(study: "ExplainedStudy", *, every: bool) -> None:
    say(f"[bold]study {foreign(study.study_uid) or 'without a UID'}[/]")
    for one in study.files:
        _show(one, every=every)
    read = sorted(one.view for one in study.study.accepted)
    if study.study.declined is not None:
        say(f"  [red]DECLINED[/] {foreign(str(study.study.declined))}")
    else:
        say(f"  [green]read[/] {', '.join(read)}")


def _show(one: "Explained", *, every: bool) -> None:
    declined, view = one.judged.declined, one.judged.view
    verdict = "[green]accepted[/]" if declined is None else f"[red]{foreign(str(declined))}[/]"
    say(f"  {foreign(str(one.path))}  {view or '-'}  {verdict}")
    for rule, answer in one.answers:
        first = declined is not None and rule.code == declined.code
        if answer and not first:
            say(f"    also {rule.code}: {foreign(answer)}")
        elif every:
            said = "not asked" if answer is None else answer or rule.asks
            mark = {True: "[red]✗[/]", False: "[green]✓[/]"}[bool(answer)]
            say(f"    {'-' if answer is None else mark} {rule.code} {rule.name}: {foreign(said)}")


def _told_study(study: "ExplainedStudy") -> dict[str, Any]:
    declined = study.study.declined
    return {
        "study_uid": study.study_uid,
        "code": declined.code if declined else "",
        "sentence": declined.sentence if declined else "",
        "views_read": sorted(one.view for one in study.study.accepted) if not declined else [],
        "files": [_told(one) for one in study.files],
    }


def _told(one: "Explained") -> dict[str, Any]:
    declined = one.judged.declined
    return {
        "file": str(one.path),
        "view": one.judged.view,
        "code": declined.code if declined else "",
        "sentence": declined.sentence if declined else "",
        "rules": [
            {
                "code": rule.code,
                "name": rule.name,
                "kept": None if answer is None else not answer,
                "sentence": answer or "",
            }
            for rule, answer in one.answers
        ],
    }
