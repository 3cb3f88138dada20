"""The wire, pure: Noise, frames, messages and what a session allows (coopfs-protocol(7))."""
