"""Evidence of a mail's sender: what a trusted relay says of it, what SPF, DKIM and DMARC say. It never keeps a report out."""
