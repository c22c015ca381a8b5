"""Transcripts of telephone calls: their formats, the HTTP door and the spool folder."""
