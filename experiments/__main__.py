"""``python -m experiments`` is the ``mdplib`` command."""

import sys

from experiments.cli import main

sys.exit(main())
