"""Plugins in processes of their own.

In the daemon: ``hub`` (one loop for all of them), ``guard`` (one plugin: started, watched, rested), ``child`` (one process),
``proxy`` (the classes that stand for a plugin's own), ``policy`` (pure: when to try again), ``apart`` (who runs so). In the
plugin's process: ``main``, ``inside``, ``lent`` (what the daemon lends), ``describe``. Both: ``wire`` (what goes between them).
"""
