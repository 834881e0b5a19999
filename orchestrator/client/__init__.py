"""The client SDK: `AgentClient` for agents and `GatewayClient` for the programs of channels.

Both come back by themselves after a break, with jitter, and go on where they were. What they hand out are the types of
`protocol`; what they raise is `protocol.errors.Refusal`.

agent           what a desktop or a bot does; classifying: with a model outside
gateway         what a channel's program does
connection      dials for both, again and again; wire: bytes
"""

from orchestrator.client.agent import AgentClient
from orchestrator.client.gateway import GatewayClient, encode_event
from protocol.errors import Refusal
from protocol.watched import ConversationUpdate, ResumePoint

__all__ = ["AgentClient", "ConversationUpdate", "GatewayClient", "Refusal", "ResumePoint", "encode_event"]
