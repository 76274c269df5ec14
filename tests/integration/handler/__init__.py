"""`akri-handler` as it is used: a process of its own, killed, replaced, and told to end."""
