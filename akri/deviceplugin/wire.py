"""The bytes of the device plugin (v1beta1) and PodResources (v1) APIs, and our values for them. Nothing else knows the generated code.

A function that reads raises InvalidValueError for what does not fit: peers are other people's programs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, TypeVar

from attrs import frozen
from google.protobuf.message import DecodeError, Message

from akri.core.device import DeviceNode, Mount
from akri.core.edits import ContainerEdits
from akri.core.errors import InvalidValueError
from akri.core.ids import ObjectKey, PluginDeviceId, ResourceName
from akri.deviceplugin._proto import deviceplugin_pb2 as plugin_pb
from akri.deviceplugin._proto import podresources_pb2 as resources_pb

__all__ = [
    "ALLOCATE",
    "EMPTY",
    "LIST_AND_WATCH",
    "LIST_POD_RESOURCES",
    "OPTIONS",
    "PREFERRED",
    "PRE_START",
    "REGISTER",
    "VERSION",
    "DeviceIds",
    "ListedContainer",
    "ListedPod",
    "Options",
    "PreferredQuery",
    "Registration",
    "read_allocate_request",
    "read_allocate_response",
    "read_device_list",
    "read_edits",
    "read_options",
    "read_pod_resources",
    "read_pre_start_request",
    "read_preferred_request",
    "read_preferred_response",
    "read_registration",
    "write_allocate_request",
    "write_allocate_response",
    "write_device_list",
    "write_edits",
    "write_options",
    "write_pod_resources",
    "write_pre_start_request",
    "write_preferred_request",
    "write_preferred_response",
    "write_registration",
]

VERSION: Final = "v1beta1"
REGISTER: Final = "/v1beta1.Registration/Register"
OPTIONS: Final = "/v1beta1.DevicePlugin/GetDevicePluginOptions"
LIST_AND_WATCH: Final = "/v1beta1.DevicePlugin/ListAndWatch"
ALLOCATE: Final = "/v1beta1.DevicePlugin/Allocate"
PREFERRED: Final = "/v1beta1.DevicePlugin/GetPreferredAllocation"
PRE_START: Final = "/v1beta1.DevicePlugin/PreStartContainer"
LIST_POD_RESOURCES: Final = "/v1.PodResourcesLister/List"

EMPTY: Final = b""
"""An empty message: the request of ListAndWatch and GetDevicePluginOptions, the answer to Register and PreStartContainer."""

DeviceIds = tuple[PluginDeviceId, ...]
"""Device ids in the order in which they are sent."""

_HEALTHY: Final = "Healthy"
_UNHEALTHY: Final = "Unhealthy"
_Message = TypeVar("_Message", bound=Message)


@frozen
class Registration:
    """What a plugin tells the kubelet: API version, file name of its socket, and the resource it serves. Options in it are ignored."""

    version: str
    endpoint: str
    resource: ResourceName


@frozen
class Options:
    """What a plugin wants to be asked besides Allocate."""

    pre_start_required: bool = False
    preferred_allocation: bool = False


@frozen
class PreferredQuery:
    """Which `size` of `available` does the plugin prefer? `must_include` are chosen already."""

    available: DeviceIds
    must_include: DeviceIds
    size: int


@frozen
class ListedContainer:
    """A container in a PodResources answer: its name, and for each device its resource and id."""

    name: str
    devices: tuple[tuple[ResourceName, PluginDeviceId], ...] = ()


@frozen
class ListedPod:
    """A pod in a PodResources answer; it has no uid."""

    key: ObjectKey
    containers: tuple[ListedContainer, ...] = ()


def _parse(kind: type[_Message], data: bytes) -> _Message:
    message = kind()
    try:
        message.ParseFromString(data)
    except DecodeError as error:
        raise InvalidValueError(kind.__name__, data, "a message of this kind in protocol buffer encoding") from error
    return message


def _ids(texts: Iterable[str]) -> DeviceIds:
    return tuple(PluginDeviceId(text) for text in texts)


def write_registration(registration: Registration) -> bytes:
    """Write a RegisterRequest."""
    return plugin_pb.RegisterRequest(
        version=registration.version, endpoint=registration.endpoint, resource_name=registration.resource
    ).SerializeToString()


def read_registration(data: bytes) -> Registration:
    """Read a RegisterRequest."""
    message = _parse(plugin_pb.RegisterRequest, data)
    return Registration(message.version, message.endpoint, ResourceName(message.resource_name))


def write_options(options: Options) -> bytes:
    """Write a DevicePluginOptions."""
    return plugin_pb.DevicePluginOptions(
        pre_start_required=options.pre_start_required,
        get_preferred_allocation_available=options.preferred_allocation,
    ).SerializeToString()


def read_options(data: bytes) -> Options:
    """Read a DevicePluginOptions."""
    message = _parse(plugin_pb.DevicePluginOptions, data)
    return Options(message.pre_start_required, message.get_preferred_allocation_available)


def write_device_list(devices: Mapping[PluginDeviceId, bool]) -> bytes:
    """Write a ListAndWatchResponse: the whole list, true for a healthy device."""
    message = plugin_pb.ListAndWatchResponse()
    for device, healthy in devices.items():
        message.devices.add(ID=device, health=_HEALTHY if healthy else _UNHEALTHY)
    return message.SerializeToString()


def read_device_list(data: bytes) -> Mapping[PluginDeviceId, bool]:
    """Read a ListAndWatchResponse. As in the kubelet, every health but `Healthy` is unhealthy, and of equal ids the last counts."""
    message = _parse(plugin_pb.ListAndWatchResponse, data)
    return {PluginDeviceId(device.ID): device.health == _HEALTHY for device in message.devices}


def write_allocate_request(ids: Iterable[PluginDeviceId]) -> bytes:
    """Write an AllocateRequest with one ContainerAllocateRequest, as the kubelet always does."""
    return plugin_pb.AllocateRequest(container_requests=[plugin_pb.ContainerAllocateRequest(devices_ids=ids)]).SerializeToString()


def read_allocate_request(data: bytes) -> tuple[DeviceIds, ...]:
    """Read an AllocateRequest: the device ids of each ContainerAllocateRequest."""
    message = _parse(plugin_pb.AllocateRequest, data)
    return tuple(_ids(request.devices_ids) for request in message.container_requests)


def _response(edits: ContainerEdits) -> plugin_pb.ContainerAllocateResponse:
    message = plugin_pb.ContainerAllocateResponse(envs=edits.environment)
    for mount in edits.mounts:
        message.mounts.add(container_path=mount.container_path, host_path=mount.host_path, read_only=mount.read_only)
    for node in edits.device_nodes:
        message.devices.add(container_path=node.container_path, host_path=node.host_path, permissions=node.permissions)
    return message


def _edits(message: plugin_pb.ContainerAllocateResponse) -> ContainerEdits:
    return ContainerEdits(
        message.envs,
        tuple(Mount(mount.container_path, mount.host_path, mount.read_only) for mount in message.mounts),
        tuple(DeviceNode(node.container_path, node.host_path, node.permissions) for node in message.devices),
    )


def write_edits(edits: ContainerEdits) -> bytes:
    """Write a ContainerAllocateResponse, as the kubelet's checkpoint keeps it."""
    return _response(edits).SerializeToString(deterministic=True)


def read_edits(data: bytes) -> ContainerEdits:
    """Read a ContainerAllocateResponse. Annotations and CDI devices are left out: nothing of ours writes or applies them."""
    return _edits(_parse(plugin_pb.ContainerAllocateResponse, data))


def write_allocate_response(responses: Iterable[ContainerEdits]) -> bytes:
    """Write an AllocateResponse with one ContainerAllocateResponse for each ContainerAllocateRequest."""
    return plugin_pb.AllocateResponse(container_responses=[_response(edits) for edits in responses]).SerializeToString()


def read_allocate_response(data: bytes) -> tuple[ContainerEdits, ...]:
    """Read an AllocateResponse."""
    return tuple(_edits(response) for response in _parse(plugin_pb.AllocateResponse, data).container_responses)


def write_preferred_request(query: PreferredQuery) -> bytes:
    """Write a PreferredAllocationRequest with one ContainerPreferredAllocationRequest."""
    request = plugin_pb.ContainerPreferredAllocationRequest(
        available_deviceIDs=query.available, must_include_deviceIDs=query.must_include, allocation_size=query.size
    )
    return plugin_pb.PreferredAllocationRequest(container_requests=[request]).SerializeToString()


def read_preferred_request(data: bytes) -> tuple[PreferredQuery, ...]:
    """Read a PreferredAllocationRequest."""
    message = _parse(plugin_pb.PreferredAllocationRequest, data)
    return tuple(
        PreferredQuery(_ids(request.available_deviceIDs), _ids(request.must_include_deviceIDs), request.allocation_size)
        for request in message.container_requests
    )


def write_preferred_response(responses: Iterable[Iterable[PluginDeviceId]]) -> bytes:
    """Write a PreferredAllocationResponse."""
    return plugin_pb.PreferredAllocationResponse(
        container_responses=[plugin_pb.ContainerPreferredAllocationResponse(deviceIDs=ids) for ids in responses]
    ).SerializeToString()


def read_preferred_response(data: bytes) -> tuple[DeviceIds, ...]:
    """Read a PreferredAllocationResponse."""
    message = _parse(plugin_pb.PreferredAllocationResponse, data)
    return tuple(_ids(response.deviceIDs) for response in message.container_responses)


def write_pre_start_request(ids: Iterable[PluginDeviceId]) -> bytes:
    """Write a PreStartContainerRequest."""
    return plugin_pb.PreStartContainerRequest(devices_ids=ids).SerializeToString()


def read_pre_start_request(data: bytes) -> DeviceIds:
    """Read a PreStartContainerRequest."""
    return _ids(_parse(plugin_pb.PreStartContainerRequest, data).devices_ids)


def write_pod_resources(pods: Iterable[ListedPod]) -> bytes:
    """Write a ListPodResourcesResponse, with one ContainerDevices for each device as the kubelet does."""
    message = resources_pb.ListPodResourcesResponse()
    for pod in pods:
        listed = message.pod_resources.add(name=pod.key.name, namespace=pod.key.namespace)
        for container in pod.containers:
            devices = listed.containers.add(name=container.name).devices
            for resource, device in container.devices:
                devices.add(resource_name=resource, device_ids=[device])
    return message.SerializeToString()


def read_pod_resources(data: bytes) -> tuple[ListedPod, ...]:
    """Read a ListPodResourcesResponse; what it says of CPUs and memory is skipped."""
    return tuple(
        ListedPod(ObjectKey(pod.namespace, pod.name), tuple(_container(container) for container in pod.containers))
        for pod in _parse(resources_pb.ListPodResourcesResponse, data).pod_resources
    )


def _container(message: resources_pb.ContainerResources) -> ListedContainer:
    return ListedContainer(
        message.name,
        tuple((ResourceName(entry.resource_name), PluginDeviceId(device)) for entry in message.devices for device in entry.device_ids),
    )
