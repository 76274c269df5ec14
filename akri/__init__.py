"""Akri: leaf devices (cameras, USB sticks, PLCs) found, shared between nodes in slots, and handed to the workloads that use them.

The names below are those that code over Akri needs first; everything else is imported from its module. They are loaded when they
are used (PEP 562), so that `import akri` costs nothing and brokers, which need `akri.broker` alone, need no other package.
"""

import importlib

TYPE_CHECKING = False  # what type checkers take for true; importing typing would cost more than all the rest
if TYPE_CHECKING:
    from akri.core.configuration import Configuration, DiscoveryRequest, JobBroker, NoBroker, PodBroker
    from akri.core.device import Device, DeviceNode, Local, Mount, Shared
    from akri.core.errors import AkriError, InvalidDocumentError, InvalidValueError, Problem
    from akri.core.ids import ConfigurationName, DeviceId, HandlerName, InstanceName, NodeName, ObjectKey, SlotId
    from akri.core.instance import Instance
    from akri.core.metadata import ObjectMeta
    from akri.core.slots import SlotTable

    __version__: str

__all__ = [
    "AkriError",
    "Configuration",
    "ConfigurationName",
    "Device",
    "DeviceId",
    "DeviceNode",
    "DiscoveryRequest",
    "HandlerName",
    "Instance",
    "InstanceName",
    "InvalidDocumentError",
    "InvalidValueError",
    "JobBroker",
    "Local",
    "Mount",
    "NoBroker",
    "NodeName",
    "ObjectKey",
    "ObjectMeta",
    "PodBroker",
    "Problem",
    "Shared",
    "SlotId",
    "SlotTable",
    "__version__",
]

_EXPORTS = {
    "akri.core.configuration": ("Configuration", "DiscoveryRequest", "JobBroker", "NoBroker", "PodBroker"),
    "akri.core.device": ("Device", "DeviceNode", "Local", "Mount", "Shared"),
    "akri.core.errors": ("AkriError", "InvalidDocumentError", "InvalidValueError", "Problem"),
    "akri.core.ids": ("ConfigurationName", "DeviceId", "HandlerName", "InstanceName", "NodeName", "ObjectKey", "SlotId"),
    "akri.core.instance": ("Instance",),
    "akri.core.metadata": ("ObjectMeta",),
    "akri.core.slots": ("SlotTable",),
}
_HOMES = {name: module for module, names in _EXPORTS.items() for name in names}

if not TYPE_CHECKING:  # so that type checkers still find a misspelt name

    def __getattr__(name: str) -> object:
        """Load a public name on first use."""
        if name == "__version__":
            value = importlib.import_module("importlib.metadata").version("akri")
        elif name in _HOMES:
            value = getattr(importlib.import_module(_HOMES[name]), name)
        else:
            raise AttributeError(f"module 'akri' has no attribute {name!r}")
        globals()[name] = value
        return value

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
