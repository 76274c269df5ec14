"""Where devices come from: what a discovery handler is, and one package per protocol. Only a `source` module does I/O."""
