"""One module for each version of the schema, in order; each stands by itself and is never changed once shipped."""
