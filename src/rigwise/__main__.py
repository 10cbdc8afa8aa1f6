"""`python -m rigwise`: the same as the installed `rigwise`."""

import sys

from rigwise.cli.main import main

sys.exit(main())
