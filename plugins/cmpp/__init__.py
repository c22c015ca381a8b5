"""CMPP 2.0 and 3.0, China Mobile's protocol for service providers: a pure codec, what a DELIVER means, and one session."""
