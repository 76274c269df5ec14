"""`akri up`: agent, controller and device manager on the local platform in one process, without any cluster."""
