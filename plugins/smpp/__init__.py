"""SMPP 3.4 and the text of short messages: a pure codec, text in and out, and one session over Twisted."""
