"""`python -m train` and the `train` command."""

from train.cli import main

if __name__ == "__main__":
    main()
