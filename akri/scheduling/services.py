"""Services follow brokers: made when one runs, brought up to date, removed when none is left."""

from __future__ import annotations

from attrs import frozen

from akri.scheduling.model import ANNOTATION_HASH, BrokerService, CreateService, DeleteService, UpdateService
from akri.scheduling.render import update_service

__all__ = ["Presence", "ServiceAction", "decide_services", "delete_services"]

ServiceAction = CreateService | UpdateService | DeleteService
"""What can be done about a service."""


@frozen
class Presence:
    """Whether a broker runs, and whether any is left: there, on its way, or waiting for its next attempt."""

    running: bool
    left: bool


def delete_services(services: tuple[BrokerService, ...]) -> tuple[DeleteService, ...]:
    """Delete all these services, but for those not seen yet."""
    return tuple(DeleteService(service.key, service.uid) for service in services if service.uid)


def decide_services(services: tuple[BrokerService, ...], wanted: CreateService | None, presence: Presence) -> tuple[ServiceAction, ...]:
    """Decide about the services of one Instance or Configuration; `wanted` is None where the user wants none."""
    if wanted is None or not presence.left:
        return delete_services(services)
    strays = delete_services(tuple(service for service in services if service.key != wanted.key))
    present = next((service for service in services if service.key == wanted.key), None)
    if present is None:
        return (*strays, wanted) if presence.running else strays
    if present.uid and present.spec_hash != wanted.annotations[ANNOTATION_HASH]:
        return (*strays, update_service(wanted, present.uid))
    return strays
