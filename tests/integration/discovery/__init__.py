"""The discovery protocol over real sockets: embedded and remote handlers alike, registration, and peers that misbehave."""
