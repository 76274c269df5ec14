"""Both ends of the device plugin protocol over real unix sockets."""

import os

# gRPC reports each closed connection on stderr; here they are closed on purpose. It reads this when it is used first.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")
