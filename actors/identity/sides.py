"""Sides: of two customers who were one, who leaves and who stays, and what is whose. Pure.

A contact is its address's. Of one whose address neither has, since it was unlinked or is shared, it is that of whose
conversation it began in. A word, and a subject, is that of who said it, as far as that is known; else its contact's, or
of whose conversation it was said in.
"""

from collections.abc import Sequence, Set

from actors.commands.moving import began_in, speaker_of, subjects
from actors.identity.members import Family, home_of
from actors.state.conversation import Conversation, interaction_of
from actors.state.journey import Journey
from protocol.entities import ContextValue, Interaction


class Sides:
    """Of the release of the member `other`, with all that were merged into it, from who stays. `conversations` are all
    that memory has something of."""

    def __init__(self, state: Journey, family: Family, other: str, conversations: Sequence[Conversation]) -> None:
        self._stays = state.customer
        self._member = family.members[other]
        self._conversations = conversations
        self.leaving = family.with_all_of(other)
        """Customers, the member among them."""
        self.identities = {each for id in self.leaving for each in family.members[id].identities}
        """The addresses of who leaves."""
        self._staying = {each for each in state.identities if each not in self.identities}

    def leaves(self, conversation: str) -> bool:
        """Whether the conversation is of who leaves."""
        return home_of(conversation, self._stays) in self.leaving

    def addresses(self, *, leaves: bool) -> Set[str]:
        """Those of who leaves, or of who stays."""
        return self.identities if leaves else self._staying

    def is_of_who_leaves(self, contact: Interaction, conversation: str) -> bool:
        """Whether a contact in `conversation` is."""
        if contact.identity in self.identities or contact.identity in self._staying:
            return contact.identity in self.identities
        return self.leaves(began_in(contact, conversation))

    def is_history(self, conversation: Conversation) -> bool:
        """Whether it was over before the merge: all of it is of one person, whosever address it was since."""
        return not conversation.live and not self._went_on(conversation)

    def has_forgotten(self, conversation: Conversation) -> bool:
        """Whether contacts that may be of the time since the merge are no longer in memory."""
        return conversation.interaction_count > len(conversation.interactions) and self._went_on(conversation)

    def said_by_who_leaves(self, conversation: Conversation, key: str, said: ContextValue) -> bool:
        """By who is known to have said it; else by whose conversation it was said in."""
        speaker = said.said_by
        if not speaker and said.came_from:
            speaker = speaker_of(self._conversations, key, said)
        if speaker in self.identities or speaker in self._staying:
            return speaker in self.identities
        contact = None if said.came_from else interaction_of(conversation, said.interaction)
        if contact is not None:
            return self.is_of_who_leaves(contact, conversation.id)
        return self.leaves(said.came_from or conversation.id)

    def is_own(self, said: ContextValue, *, leaves: bool) -> bool:
        """Whether a word of a contact of who leaves, or of who stays, is their own."""
        return said.said_by not in self.addresses(leaves=not leaves)

    def subject(self, conversation: Conversation, *, leaves: bool) -> tuple[str, str]:
        """The subject that who leaves, or who stays, gave it, and the address that wrote it: the one it has where that
        is theirs, or nobody knows whose and the conversation is theirs; else the first of theirs, or none."""
        first = interaction_of(conversation, 1)
        writer = conversation.subject_by or (first.identity if first is not None else "")
        own, others = self.addresses(leaves=leaves), self.addresses(leaves=not leaves)
        if writer in own or (writer not in others and leaves == self.leaves(conversation.id)):
            return conversation.subject, writer
        return next(((subject, who) for subject, who in subjects(conversation) if who in own), ("", ""))

    def _went_on(self, conversation: Conversation) -> bool:
        """Whether something happened in it since the merge. By its head and not by time: clocks are set back."""
        if self._member.heads is None:
            return conversation.updated_at_ms >= self._member.at_ms
        return conversation.head != self._member.heads.get(conversation.id)
