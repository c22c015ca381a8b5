"""The harness for plugin authors, ours and theirs: the same checks for every channel and every transport.

Besides the author's own cases it always adds the unasked ones: malformed and empty bodies, the same message twice, an
oversize one, storage trouble, a slow disk, a peer that is slow, refuses or talks rubbish, a call cancelled in mid-flight; and
throughout that no log line and no alarm holds a secret or a word of a report.
"""

from __future__ import annotations

from gateway.testing.channels import Answer, ChannelCase, check_channel
from gateway.testing.memory import Kept, MemoryIntake, MemoryServices
from gateway.testing.quiet import CANARY, silent_about
from gateway.testing.transports import PeerMode, check_transport, sample_delivery

__all__ = [
    "CANARY", "Answer", "ChannelCase", "Kept", "MemoryIntake", "MemoryServices", "PeerMode", "check_channel", "check_transport",
    "sample_delivery", "silent_about",
]  # fmt: skip
