"""`python -m training`."""

from training.cli import entry

if __name__ == "__main__":
    entry()
