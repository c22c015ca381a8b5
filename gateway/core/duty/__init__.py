"""The duty: everything that is still to be done about one incident until the matter ends. Pure.

``matter`` is the state, one value per incident; ``rules`` are the city's; each further module is one concern (clocks, offers,
telling, signing, follow-ups, instructions, judgements): what a move does to a matter, and what falls due when. ``turn`` joins
them: ``tick`` carries out what is due by an instant, ``next_at`` says when the next thing is.
"""
