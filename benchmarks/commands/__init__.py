"""The commands.

commands          of_a_server, beside_events, without_a_server: by what each needs
options           what they have in common; option_sets: those that go together
"""
