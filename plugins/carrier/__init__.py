"""What SMPP and CMPP have in common: frames with a length in front, requests matched to answers, a session that comes back."""
