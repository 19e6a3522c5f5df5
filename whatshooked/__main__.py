"""`python -m whatshooked`: the same as the command."""

import sys

from whatshooked.cli import main

sys.exit(main())
