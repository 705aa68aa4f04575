"""`python -m prnn_md` is the `prnn-md` command."""

import sys

from prnn_md.app.main import main

if __name__ == "__main__":
    sys.exit(main())
