"""No code of ours runs text, starts a shell, or opens a pickle."""

import ast
from collections.abc import Callable, Iterator

import pytest
from checkout import PACKAGES, modules

# Whatever makes code or objects out of bytes, by the last names of a call.
FORBIDDEN_CALLS = {
    *("eval", "exec", "compile", "__import__", "execfile"),
    *("os.system", "os.popen", "os.execl", "os.execv", "os.execvp", "os.spawnl", "os.spawnv"),
    *("subprocess.getoutput", "subprocess.getstatusoutput", "pty.spawn"),
    *("asyncio.create_subprocess_shell", "yaml.load", "yaml.unsafe_load", "yaml.full_load"),
    *("torch.hub.load", "joblib.load", "numpy.fromregex", "pandas.read_pickle"),
    *("code.interact", "runpy.run_path", "runpy.run_module"),
}
FORBIDDEN_MODULES = {
    *("marshal", "shelve", "dill", "cloudpickle", "joblib", "jsonpickle", "dbm", "xmlrpc"),
    *("telnetlib", "cgi", "imp", "codeop", "pty"),
}
# pickle stands once, and only by the name of its error: what a damaged state of a training raises.
PICKLE = {"train/run_folder.py": {"pickle.UnpicklingError"}}

Figure = Callable[[str], None]


def faults(path: str, text: str) -> Iterator[str]:
    """Name every place of a module that could run what it is given."""
    tree = ast.parse(text)
    known = _imported(tree)
    for node in ast.walk(tree):
        where = f"{path}:{getattr(node, 'lineno', 0)}"
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield from _imports(node, path, where)
        if isinstance(node, ast.Attribute):
            name = _named(node, known)
            if name.startswith("pickle.") and name not in PICKLE.get(path, set()):
                yield f"{where} {name}"
        if isinstance(node, ast.Call):
            name = _named(node.func, known)
            if name in FORBIDDEN_CALLS or name.removeprefix("builtins.") in {"eval", "exec"}:
                yield f"{where} {name}"
            yield from _arguments(node, name, where)


def _imports(node: ast.Import | ast.ImportFrom, path: str, where: str) -> Iterator[str]:
    names = [one.name for one in node.names]
    tops = {name.partition(".")[0] for name in names}
    if isinstance(node, ast.ImportFrom):
        tops = {(node.module or "").partition(".")[0]} if not node.level else set()
    yield from (f"{where} import {top}" for top in tops & FORBIDDEN_MODULES)
    if tops & {"pickle", "_pickle"} and (
        path not in PICKLE or isinstance(node, ast.ImportFrom) or len(names) > 1
    ):
        yield f"{where} import pickle"


def _arguments(call: ast.Call, name: str, where: str) -> Iterator[str]:
    """Look at how a call is made: what is harmless one way is none in another."""
    told = {one.arg: one.value for one in call.keywords}
    if "shell" in told and not _is(told["shell"], False):
        yield f"{where} shell="
    if "allow_pickle" in told and not _is(told["allow_pickle"], False):
        yield f"{where} allow_pickle="
    if "trust_remote_code" in told:
        yield f"{where} trust_remote_code="
    if name == "torch.load" and not _is(told.get("weights_only"), True):
        yield f"{where} torch.load without weights_only"
    accepted = told.get("accept_content")
    if accepted is not None and ast.unparse(accepted) != "['json']":
        yield f"{where} accept_content"
    for serializer in ("serializer", "task_serializer", "result_serializer"):
        if serializer in told and not _is(told[serializer], "json"):
            yield f"{where} {serializer}"


def _is(value: ast.expr | None, wanted: object) -> bool:
    return isinstance(value, ast.Constant) and repr(value.value) == repr(wanted)


def _imported(tree: ast.AST) -> dict[str, str]:
    """Say what each imported name stands for."""
    known = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            known |= {one.asname or one.name: one.name for one in node.names}
        if isinstance(node, ast.ImportFrom) and not node.level:
            known |= {one.asname or one.name: f"{node.module}.{one.name}" for one in node.names}
    return known


def _named(node: ast.expr, known: dict[str, str]) -> str:
    """Write a function's name in full; an expression has none."""
    if isinstance(node, ast.Name):
        return known.get(node.id, node.id)
    if isinstance(node, ast.Attribute):
        return f"{_named(node.value, known)}.{node.attr}"
    return ""


def test_S1_nothing_runs_text_starts_a_shell_or_opens_a_pickle(figure: Figure) -> None:
    looked_at = list(modules(*PACKAGES, "alembic", "benchmarks"))
    found = [fault for path, text in looked_at for fault in faults(path, text)]
    figure(f"{len(found)} places in {len(looked_at)} modules that run text, a shell or a pickle")
    assert len(looked_at) > 200
    assert found == []


@pytest.mark.parametrize(
    "line",
    [
        "eval(x)",
        "import builtins; builtins.exec(x)",
        "compile(x, '', 'exec')",
        "__import__(x)",
        "import os; os.system(x)",
        "from os import popen as p; p(x)",
        "import subprocess; subprocess.run(x, shell=True)",
        "import subprocess as s; s.Popen(x, shell=maybe)",
        "from subprocess import getoutput; getoutput(x)",
        "import pickle; pickle.loads(x)",
        "from pickle import loads",
        "import _pickle",
        "import marshal",
        "from shelve import open",
        "import torch; torch.load(x)",
        "import torch; torch.load(x, weights_only=False)",
        "import numpy as np; np.load(x, allow_pickle=True)",
        "import yaml; yaml.load(x)",
        "app.conf.update(accept_content=['json', 'pickle'])",
        "app.send_task(x, serializer='pickle')",
    ],
)
def test_each_of_these_would_be_seen(line: str) -> None:
    assert list(faults("some/module.py", line))


@pytest.mark.parametrize(
    "line",
    [
        "network.eval()",
        "import re; re.compile(x)",
        "import torch; torch.load(x, weights_only=True)",
        "import subprocess; subprocess.run([x], shell=False)",
        "import numpy as np; np.load(x, allow_pickle=False)",
        "app.conf.update(accept_content=['json'], task_serializer='json')",
    ],
)
def test_none_of_these_is_called_one(line: str) -> None:
    assert list(faults("some/module.py", line)) == []
