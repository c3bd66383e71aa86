"""Run the nightly job with the TOML beside this file; the logic is in `ultr.jobs.nightly`.

Example:
    $ python pipelines/nightly.py --set logs=/var/log/search --json
"""

import sys
from pathlib import Path

from ultr.cli import main

if __name__ == "__main__":
    main(["job", "nightly", "--config", str(Path(__file__).with_suffix(".toml")), *sys.argv[1:]])
