"""`python -m answerback`."""

from answerback.cli import main

if __name__ == "__main__":
    main()
