"""The platform on a Kubernetes cluster: state in its API server, brokers as its pods and jobs."""
