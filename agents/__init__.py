"""Agents: the protocol, the registry and those that come with dexbench."""
