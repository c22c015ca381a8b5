"""Fetching mail from a mailbox that somebody else keeps: IMAP and POP3 behind one loop that marks only what is stored."""
