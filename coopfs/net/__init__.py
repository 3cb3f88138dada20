"""The wire: trio sockets, sealed channels, partners over connections. Knows no local disk."""
