"""The service, where a process may have few descriptors: `python -m few_descriptors serve`."""

import resource
import sys

from answerback.cli import main

SOFT, HARD = 64, 128

if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_NOFILE, (SOFT, HARD))
    sys.exit(main())
