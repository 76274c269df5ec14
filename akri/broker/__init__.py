"""For people who write brokers: read the devices that a container was given. Standard library only, nothing else of akri.

>>> from akri import broker
>>> camera = broker.device(environ={"ONVIF_DEVICE_UUID": "1f2e", "ONVIF_DEVICE_UUID_8120FE": "1f2e"})
>>> camera.text("ONVIF_DEVICE_UUID"), camera.integer("FRAMES_PER_SECOND", default=10)
('1f2e', 10)
"""

from akri.broker._environment import (
    BrokerError,
    Device,
    DeviceMissingError,
    Properties,
    PropertyInvalidError,
    PropertyMissingError,
    device,
    devices,
    properties,
)

__all__ = [
    "BrokerError",
    "Device",
    "DeviceMissingError",
    "Properties",
    "PropertyInvalidError",
    "PropertyMissingError",
    "device",
    "devices",
    "properties",
]
