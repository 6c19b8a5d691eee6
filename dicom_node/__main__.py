"""Run the node: `dicom-node` and `python -m dicom_node`."""

import os

from dicom_node.cli import run

OURS_ALONE = 0o077


def main() -> None:
    """Run one command; what it writes is for its own user alone, whatever the shell thinks."""
    os.umask(OURS_ALONE)
    run()


if __name__ == "__main__":
    main()
