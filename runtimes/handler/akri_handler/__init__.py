"""`akri-handler`: one of Akri's discovery handlers as a process of its own, for nodes where an agent runs without it."""
