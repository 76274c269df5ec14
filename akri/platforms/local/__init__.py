"""The platform without a cluster: state in memory, brokers as child processes of this machine."""
