"""What root makes in the data folder belongs to whom the folder does.

An administrator types `dicom-node check` or `recall` as root, and the node, which runs as somebody
else, has to go on with what that made.
"""

import os
import stat
from contextlib import suppress
from pathlib import Path


def give_to_owner(*made: Path | int, of: Path | None = None) -> None:
    """Let what root made belong to whom the folder that it lies in does; outer folders first.

    A descriptor needs `of`, its folder. Links are left alone: through one, whoever owns the folder
    would be given anything. What is gone meanwhile, or cannot be given away there, is no fault.
    """
    if os.geteuid() != 0:
        return
    for one in made:
        with suppress(OSError):
            owner = (of or Path(str(one)).parent).stat()
            if owner.st_uid and _is_roots_own(one):
                os.chown(one, owner.st_uid, owner.st_gid, follow_symlinks=isinstance(one, int))


def _is_roots_own(one: Path | int) -> bool:
    about = os.fstat(one) if isinstance(one, int) else one.lstat()
    plain = stat.S_ISREG(about.st_mode) and about.st_nlink == 1
    return about.st_uid == 0 and (plain or stat.S_ISDIR(about.st_mode))
