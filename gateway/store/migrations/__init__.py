"""The history of the schema. Run by ``gateway.store.schema``, never by hand."""
