"""The data folder's layout: what lies in it under which name, beside the stores (`adapters/stores/folder.py`) and what
holds it for one server (`orchestrator/cluster/data_folder.py`). `docs/operations.md` says what each is."""

ATTACHMENTS = "attachments"
ERASURES = "erasures"
LINES_FILE = "lines.json"
"""A list of accounts with their channels, the newest last."""
LOGS = "log"
SERVER_FILE = "server.json"
TOKENS_FILE = "tokens.json"
WEBHOOKS = "webhooks"
