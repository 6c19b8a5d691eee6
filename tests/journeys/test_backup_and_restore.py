"""A backup that is made while images come in is a node again, with all that it was told by then."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from modalities import modalities
from running_node import running_node
from senders import send
from small_images import mammogram
from sqlalchemy import select
from sqlalchemy.orm import Session

from dicom_node.ledger.tables import Instance

pytestmark = pytest.mark.journey


def test_a_backup_under_load_is_restored_whole(tmp_path: Path) -> None:
    backup = tmp_path / "backup"
    backup.mkdir()
    with running_node(tmp_path / "node", []) as node:
        data = node.settings.data
        node.start("listen")
        node.wait_until_listening()
        with modalities(node.port, 2) as group:
            group.wait_for(20)
            told = dict(group.told)
            with (  # what `.backup` of the sqlite3 program does
                closing(sqlite3.connect(data / "ledger.sqlite")) as ledger,
                closing(sqlite3.connect(backup / "ledger.sqlite")) as copy,
            ):
                ledger.backup(copy)
            group.wait_for(5)
            passing = shutil.ignore_patterns("incoming")  # rsync copies it; nobody reads it
            shutil.copytree(data / "spool", backup / "spool", ignore=passing)
            for one in data.glob("audit-*"):
                shutil.copy2(one, backup)
        node.stop()
        shutil.rmtree(data)
        shutil.copytree(backup, data)
        node.node.engine.dispose()
        balance = node.run("balance", "--deep")
        assert balance.returncode == 0, balance.stdout
        assert node.run("audit", "verify").returncode == 0
        with Session(node.node.engine) as session:
            known = {row.sop_uid: row.digest for row in session.scalars(select(Instance))}
        assert {uid: known.get(uid) for uid in told} == told
        node.start("listen")
        node.wait_until_listening()
        assert send(node.port, mammogram(), calling="STORESCU") == [0x0000]
