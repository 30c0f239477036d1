"""How much labels are worth: one study several times, each time with other labels known.

What is trained and examined in each is the business of `pipeline` and `finals`, not of this room.
"""
