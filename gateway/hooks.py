"""The hook specifications: few, called once at start, without arguments. Each returns classes (docs/plugins.md).

The host reads what a class must have from the protocol named in the return type: there is no second list of it.
"""

from __future__ import annotations

from collections.abc import Sequence

import pluggy

from gateway.api import ChannelPlugin, ClassifierPlugin, ReaderPlugin, RouterPlugin, TransportPlugin

hookspec = pluggy.HookspecMarker("gateway")


@hookspec
def channels() -> Sequence[type[ChannelPlugin]]:
    """Ways in: classes that take messages from a carrier and hand them to intake."""
    return ()


@hookspec
def transports() -> Sequence[type[TransportPlugin]]:
    """Ways out: classes that send a delivery and answer Delivered, TryLater or Refused."""
    return ()


@hookspec
def routers() -> Sequence[type[RouterPlugin]]:
    """Routing: classes that name the offices which must have an incident. Pure."""
    return ()


@hookspec
def readers() -> Sequence[type[ReaderPlugin]]:
    """Reading: classes that raise doubts about a report. Pure."""
    return ()


@hookspec
def classifiers() -> Sequence[type[ClassifierPlugin]]:
    """Classification: classes that add items or doubts. Pure; they never take one away."""
    return ()
