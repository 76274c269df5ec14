"""For people who write brokers: read the devices that a container was given. Standard library only, nothing else of akri.

    from akri import broker

    camera = broker.device()
    print(camera.text("ONVIF_DEVICE_SERVICE_URL"), camera.integer("FRAMES_PER_SECOND", default=10))
"""

from akri.broker.environment import (
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
