"""The cluster's loop as a library: observe, let `akri.scheduling` decide, act; over any platform."""
