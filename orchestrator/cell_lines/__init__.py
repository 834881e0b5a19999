"""Lines to the cells: how a gateway or channel host asks a customer's cell, wherever that is, until it has answered.

    cells        what others hold: ask, tell, and listen
    dialing      the pipes to them
    asking       the lines, and what was asked by them and is not answered yet; `questions` says whom one is about

    forwarding   merged customers' questions, by their `homes`
    deciders     which version of the policy each cell decides by

In dedicated placement customers come to cells and leave them:

    seats        who sits where, as the usher tells it; to the others these are `places`
    sittings     what becomes of questions as their customer comes and goes; without a cell they are `homeless`
    strangers    customers that somebody named, and perhaps nobody is
"""
