"""Generated messages of the discovery protocol; only wire.py imports them."""
