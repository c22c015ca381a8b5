"""What the gateway decides: pure functions over frozen types. No clock, disk or network inside; ``now`` is an argument."""
