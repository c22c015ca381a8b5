"""Faxes that come as mail: the fax server's key/value text, the pages, and their text by OCR where it is installed."""
