"""Acceptance: real daemons on loopback, real mounts, real tools, real disasters."""
