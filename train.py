"""Train a surrogate: `python train.py model=prnn md=polymer`; `python train.py --help` lists what can be chosen."""

import sys

from prnn_md.app.train import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
