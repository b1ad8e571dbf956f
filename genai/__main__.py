"""`python -m genai` is the command `genai`."""

import sys

from genai.cli import main

sys.exit(main())
