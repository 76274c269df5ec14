"""The node's loop as a library: discovery, inventory, device plugins, claims and releases, over any platform."""
