"""`python -m hneuro` is `hneuro`."""

import sys

from hneuro.cli import main

sys.exit(main())
