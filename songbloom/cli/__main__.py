"""``python -m songbloom.cli``."""

import sys

from songbloom.cli import main

sys.exit(main())
