"""Inputs: what a run is fed, each a pure function of its number.

traffic     what customers say
past        what stores hold before; preload writes it
desk        a service desk's half year; decided: as facts, in a journal
bundle      the rules
"""
