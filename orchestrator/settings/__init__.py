"""Settings: what an operator sets once, in `throughline.toml`; handed out value by value.

sections     what there is to set
file         reads them; meant: what a mistyped name was to be
addresses    that a server listens on, refused in the words of the setting that names them
open_files   how many connections the system leaves room for

Business rules are not here: they are the policy, which owners edit live.
"""

from orchestrator.settings.sections import (
    DEMO_ACCOUNTS,
    Account,
    EmailAccount,
    GatewayAccount,
    Http,
    Limits,
    Placement,
    PolicySettings,
    Settings,
    SettingsError,
    Store,
    TwilioAccount,
    WebhookEndpoint,
)

__all__ = [
    "DEMO_ACCOUNTS",
    "Account",
    "EmailAccount",
    "GatewayAccount",
    "Http",
    "Limits",
    "Placement",
    "PolicySettings",
    "Settings",
    "SettingsError",
    "Store",
    "TwilioAccount",
    "WebhookEndpoint",
]
