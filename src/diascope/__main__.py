"""`python -m diascope`: the same as the command `diascope`."""

from diascope.cli import main

if __name__ == "__main__":  # not in the processes that it starts
    main()
