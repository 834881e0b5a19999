"""The policy, from its files to the actors that decide by it. `orchestrator/bundles` reads the files.

first             what decides until a bundle is applied, made of the settings and of their former_lines
desk              a bundle is checked, compared, applied and looked up
watched_folder    likewise, as the files of a folder change
in_force          what gateways and channel hosts have heard of it
kept              what a start finds in the journal, and whether this program can decide by it
"""
