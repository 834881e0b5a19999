"""What is outside: channels, stores. Adapters translate; they decide nothing.

channels       what they say becomes inbound events, what we say leaves by them
stores         journal and archive
attachments    the files that came with messages
synced         on the disk, and not only handed to it

past           what other systems export of earlier contacts; past_vcon: as vCons
vcon           the container in which a conversation goes to other systems

naming         whether raw input names somebody; wordings: what it says, in every coding it may have
"""
