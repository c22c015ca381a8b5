"""The audit log: events sealed into a chain that anybody can check, one line each, fit for ``tail -F`` and logrotate."""
