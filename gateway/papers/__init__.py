"""Official papers (公文): one template makes HTML, and from that come PDF, DOCX, fax pages and plain text.

``templates`` fills the office's template or, where that fails, the one that comes with the gateway; ``press`` makes pages in a
process of its own; ``docx``, ``xlsx`` and ``text`` write the other forms.
"""
