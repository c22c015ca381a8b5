"""The duty desk (值班台) in a browser: the board, incidents, the telephone form, what waits for a person, the record.

Everything that changes something goes through ``gateway.operations``, as the command line does; this room shows and asks.
"""
