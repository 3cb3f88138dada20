"""Pure core: bytes and dataclasses in, bytes and dataclasses out. No clock, socket, disk or randomness."""
