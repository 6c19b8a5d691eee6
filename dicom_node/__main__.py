"""Run the node: `dicom-node` and `python -m dicom_node`."""

from dicom_node.cli import run


def main() -> None:
    """Run one command."""
    run()


if __name__ == "__main__":
    main()
