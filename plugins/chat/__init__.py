"""Robots in chat groups: what the transports to WeCom, DingTalk and Feishu have in common."""
