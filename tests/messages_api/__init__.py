"""A strict server that speaks the Messages API, with scripted faults and a journal.

In a test:    with MessagesApi([Fault("status", status=529, at=1)]) as api: ClaudeWriter(KEY, api.url)
By itself:    python -m tests.messages_api --port 8089 --script faults.json
"""

from tests.messages_api.script import Fault, Script
from tests.messages_api.server import KEY, MODELS, MessagesApi, Recorded

__all__ = ["KEY", "MODELS", "Fault", "MessagesApi", "Recorded", "Script"]
