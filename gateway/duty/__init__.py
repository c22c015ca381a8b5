"""The duty at work: what reports, people and the passing of time do to an incident's matter, inside one transaction each.

``work`` makes a move of the pure core (gateway.core.duty) and carries out its effects. ``reports`` is what a report means.
``acts`` is what persons do; they come from the command line (``people``), by short message and mail (``replying``), by links
(``by_link``, ``link_page``). ``timekeeper`` is the daemon's loop. ``shift``, ``calls``, ``matter_view`` and ``incident_view`` are
what people look at.
"""
