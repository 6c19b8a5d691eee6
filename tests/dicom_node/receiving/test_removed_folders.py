"""Folders of the spool that somebody removes while the listener runs."""

import shutil
from collections.abc import Callable

from open_listener import OpenListener
from senders import send
from small_images import mammogram


def test_R10_a_folder_of_the_store_that_was_removed_is_made_again_and_a_disk_that_is_away_is_not(
    listener: OpenListener, figure: Callable[[str], None]
) -> None:
    spool = listener.node.spool
    first = mammogram()
    assert send(listener.port, first) == [0x0000]
    shutil.rmtree(spool.incoming)
    shutil.rmtree(spool.quarantine)
    for folder in (spool.folder / "images").iterdir():
        if not any(folder.iterdir()):
            folder.rmdir()
    assert send(listener.port, mammogram()) == [0x0000]
    assert send(listener.port, mammogram(SOPInstanceUID=first.SOPInstanceUID)) == [0xA901]
    away = spool.folder.with_name("away")
    (spool.folder / "images").rename(away)
    assert send(listener.port, mammogram()) == [0xA700]
    assert not (spool.folder / "images").exists()
    away.rename(spool.folder / "images")
    assert send(listener.port, mammogram()) == [0x0000]
    assert sum(1 for _ in listener.node.spool.names()) == 3
    figure(
        "3 kinds of folders removed while it ran: made again; images on no other disk than theirs"
    )
