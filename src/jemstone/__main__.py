"""``python -m jemstone``."""

import sys

from jemstone.cli import main

sys.exit(main())
