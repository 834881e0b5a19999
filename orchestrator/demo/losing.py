"""What gets lost: three things that happen at every desk, so that the report on lost context has something to show."""

from collections.abc import Callable

from msgspec import Struct

from orchestrator.client import AgentClient, GatewayClient
from orchestrator.demo.cast import Customer
from orchestrator.demo.desk import Desk
from orchestrator.demo.screen import Screen
from orchestrator.settings import GatewayAccount
from protocol.errors import Code, Refusal
from protocol.events import AnyEvent, HandoffOffered, HandoffWithdrawn
from protocol.inbound import ActivityArrived, InboundEvent, MessageArrived

KIND = "team-team"
"""Of a handoff: both bundles that ship have it, and without a bundle any word is one."""


class Losses(Struct, kw_only=True, frozen=True):
    """Who plays them, and on which line."""

    agent: AgentClient
    gateway: GatewayClient
    desk: Desk
    account: GatewayAccount
    customer: Customer
    screen: Screen
    run: str
    now_ms: Callable[[], int]

    async def play(self, conversation: str) -> None:
        """All three. The conversation is the agent's before and after."""
        self.screen.scene("What gets lost: whose words, who the customer is, what a team has to know")
        await self.no_identity()
        await self.another_door()
        await self.no_answer(conversation)

    async def no_identity(self) -> None:
        """A page of the web site forgot to say whose words it sends: they are kept, and nobody sees them."""
        text = "I wrote an hour ago and nobody answered."
        self.screen.outside(self.account.channel, "somebody", text)
        try:
            await self.gateway.send(self._event("lost", [], self.account.channel, MessageArrived(text=text)))
        except Refusal as refusal:
            if refusal.code != Code.NO_IDENTITY:
                raise
            self.screen.note(f"      refused: {refusal.message}; in quarantine it waits to be replayed")

    async def another_door(self) -> None:
        """The customer opens the WhatsApp window; unless the policy says so, it is not known for the number they texted
        from."""
        self.screen.outside("whatsapp", self.customer.number, "(opens the window on the bill's page)")
        opened = ActivityArrived(name="opened WhatsApp")
        await self.gateway.send(self._event("door", [f"whatsapp:{self.customer.number}"], "whatsapp", opened))
        self.screen.note(
            "      acknowledged: as somebody new, unless `alike` in identity.yaml says that it is the same number"
        )

    async def no_answer(self, conversation: str) -> None:
        """The agent offers the conversation to another team, who do not take it; so it stays."""
        await self.agent.offer_handoff(
            conversation, KIND, queue="billing", note="a meter was read twice", fields={"call_back_number": "none"}
        )
        _, _, offered = await self.desk.see(lambda event: isinstance(event, HandoffOffered))
        assert isinstance(offered, HandoffOffered)
        await self.agent.withdraw_handoff(conversation, offered.lease, "nobody there took it")
        await self.desk.see(_is_withdrawn)

    def _event(
        self, what: str, identities: list[str], channel: str, data: MessageArrived | ActivityArrived
    ) -> InboundEvent:
        return InboundEvent(
            id=f"{self.run}-{what}",
            source="demo/chat",
            time_ms=self.now_ms(),
            account=self.account.name,
            channel=channel,
            identities=identities,
            data=data,
        )


def _is_withdrawn(event: AnyEvent) -> bool:
    return isinstance(event, HandoffWithdrawn)
