"""Seats: dedicated placement, one customer a cell.

usher       says who sits where, by seating
seat        stands in front of a cell and lets in what is for who sits there
"""
