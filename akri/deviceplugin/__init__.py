"""The kubelet's device plugin protocol, both ends: plugins that offer devices, and a device manager that plays the kubelet.

Both ends are here because each proves the other: the agent cannot tell the device manager from a kubelet. `host` is the plugin
side, `manager` the kubelet side, `wire` the only place that knows the bytes.
"""
