"""The harness for plugin authors, ours and theirs: the same checks for every plugin of a sort.

Besides the author's own cases it always adds the unasked ones: malformed and empty bodies, the same message twice, an
oversize one, storage trouble, a slow disk, a peer that is slow, throttles, fails, refuses, hangs up, talks rubbish or is not
there, a call cancelled in mid-flight, incidents without an item and with a hundred; and throughout that no log line and no
alarm holds a secret or a word of a report. What the host lends is there in memory. docs/plugins.md tells how to use it.
"""

from __future__ import annotations

from gateway.testing.capture import Capture, replay
from gateway.testing.channels import ChannelCase, check_channel
from gateway.testing.memory import Kept, MemoryCarrier, MemoryClock, MemoryIntake, MemoryServices, Submitted
from gateway.testing.peers import HTTP_MODES, TCP_MODES, HttpPeer, MailSink, PeerMode, SunkMail, TcpPeer
from gateway.testing.pure import check_classifier, check_reader, check_router
from gateway.testing.quiet import CANARY, silent_about
from gateway.testing.samples import (
    boundary_moments,
    example_calendar,
    memory_directory,
    sample_incident,
    sample_message,
    sample_report,
)
from gateway.testing.transports import check_faults, check_transport, sample_delivery
from gateway.testing.wire import Answer

__all__ = [
    "CANARY", "HTTP_MODES", "TCP_MODES", "Answer", "Capture", "ChannelCase", "HttpPeer", "Kept", "MailSink", "MemoryCarrier",
    "MemoryClock", "MemoryIntake", "MemoryServices", "PeerMode", "Submitted", "SunkMail", "TcpPeer", "boundary_moments",
    "check_channel", "check_classifier", "check_faults", "check_reader", "check_router", "check_transport", "example_calendar",
    "memory_directory", "replay", "sample_delivery", "sample_incident", "sample_message", "sample_report", "silent_about",
]  # fmt: skip
