"""`python -m mbs_cli` is `mbs`."""

from mbs_cli.app import main

if __name__ == "__main__":
    main()
