"""`akri discover --explain`: for each device of this machine that was not found, the part of the rule that turned it away."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping

from akri.core.configuration import Configuration
from akri.discovery.document import read_document
from akri.discovery.udev.details import TITLE, parse_details
from akri.discovery.udev.explain import Explanation, explain

__all__ = ["explained", "lines"]

_SHOWN = 20


async def explained(configuration: Configuration) -> Mapping[str, tuple[Explanation, str]]:
    """Judge every device of this machine; answer by device path, with the device node ("" without one).

    Raises InvalidDocumentError for details that cannot be used, DiscoveryError where devices cannot be listed.
    """
    from akri.discovery.udev.source import scan_devices  # noqa: PLC0415 - needs libraries that other handlers do not

    details = parse_details(read_document(TITLE, configuration.discovery.details))
    scan = await asyncio.to_thread(scan_devices, details, everything=True)
    return {one.devpath: (one, scan.devices[one.devpath].node) for one in explain(details, scan)}


def lines(judged: Mapping[str, tuple[Explanation, str]], only: str) -> Iterator[str]:
    """Print those that were turned away, the nearest misses first, `_SHOWN` of them; with `only`, all whose path or node holds it."""
    rejected = [pair for pair in judged.values() if pair[0].selected_by is None]
    chosen = [pair for pair in rejected if only in pair[0].devpath or only in pair[1]] if only else rejected
    chosen.sort(key=lambda pair: (_missing(pair[0]), pair[0].devpath))
    shown = chosen if only else chosen[:_SHOWN]
    yield f"  {len(judged) - len(rejected)} of {len(judged)} devices are selected; turned away, the nearest misses first:"
    for explanation, node in shown:
        yield f"    {explanation.devpath}{f' ({node})' if node else ''}"
        rejections = explanation.rejections if only else explanation.rejections[explanation.nearest_rule : explanation.nearest_rule + 1]
        yield from (f"      {rejection}" for rejection in rejections)
    if len(chosen) > len(shown):
        yield f"    and {len(chosen) - len(shown)} more: --device TEXT shows those whose path or device node holds TEXT, with all rules"
    if only and not chosen:
        selected = [pair[0].devpath for pair in judged.values() if only in pair[0].devpath or only in pair[1]]
        yield f"    selected: {', '.join(selected)}" if selected else f"    no device has {only!r} in its path or device node"


def _missing(explanation: Explanation) -> int:
    return min((len(one.parts) + len(one.above) for one in explanation.rejections), default=0)
