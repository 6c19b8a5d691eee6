"""Run the node: `dicom-node` and `python -m dicom_node`."""

import os

from dicom_node.cli import run
from dicom_node.logs import hush

OURS_ALONE = 0o077


def main() -> None:
    """Run one command; what it writes is for its own user alone, and no library quotes a header."""
    os.umask(OURS_ALONE)
    hush()
    run()


if __name__ == "__main__":
    main()
