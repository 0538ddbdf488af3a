"""Where the installation's vault is and where its keys come from."""

from __future__ import annotations

from shared.clock import SYSTEM_CLOCK, Clock
from shared.config.paths import Paths
from shared.config.process import environment
from shared.secrets.keyring import KEYS_VARIABLE
from shared.secrets.vault import Vault


def open_vault(paths: Paths, *, clock: Clock = SYSTEM_CLOCK) -> Vault:
    """The installation's vault, with keys from wherever this process is given them."""
    return Vault.at(
        paths.gateway / "vault",
        environment=environment(KEYS_VARIABLE),
        credentials_directory=environment("CREDENTIALS_DIRECTORY"),
        clock=clock,
    )
