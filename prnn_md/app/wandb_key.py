"""Whether there is a key for Weights & Biases on this machine; the key itself is read by W&B alone."""

import netrc
import os
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlparse

API = "https://api.wandb.ai"


def base_url() -> str:
    """The address of the service, which WANDB_BASE_URL changes."""
    return os.environ.get("WANDB_BASE_URL", API)


def has_key() -> bool:
    """Whether the environment or the .netrc file has a key for the service."""
    return bool(os.environ.get("WANDB_API_KEY")) or _key_in_netrc()


def _key_in_netrc() -> bool:
    host = urlparse(base_url()).hostname
    file = Path(os.environ.get("NETRC", "~/.netrc")).expanduser()
    with suppress(OSError, netrc.NetrcParseError):
        return netrc.netrc(str(file)).authenticators(host or "") is not None
    return False
