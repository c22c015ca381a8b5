"""Cloud carriers over HTTP: what each provider's callbacks say, how it signs them, and how it is asked to send."""
