"""`python -m answerback`, and the command of that name."""

import gc


def main() -> None:
    # What is imported stays: collections between the imports would take a fifth of the time of a start.
    gc.disable()
    from answerback.cli import main as command

    gc.freeze()
    gc.enable()
    command()


if __name__ == "__main__":
    main()
