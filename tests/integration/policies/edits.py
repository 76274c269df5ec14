"""What the requests of the table change, in words of the sharing protocol."""

from __future__ import annotations

from tests.cluster.admin import Manifest
from tests.integration.policies.objects import FENCE, Edit, annotations_of, owner, slot

__all__ = [
    "add_key",
    "add_owner",
    "annotate",
    "cut_report",
    "drop_annotation",
    "drop_key",
    "fence",
    "meta",
    "nodes",
    "nothing",
    "own",
    "rename",
    "spec",
    "use",
]


def use(index: int, text: str) -> Edit:
    """Write a usage text into a slot, whether its key is there or not."""

    def edit(manifest: Manifest) -> None:
        manifest["spec"]["deviceUsage"][slot(manifest["metadata"]["name"], index)] = text

    return edit


def add_key(key: str, text: str = "") -> Edit:
    """Add a key of any text; `{name}` is the Instance's, `{other}` that of another one, as long."""

    def edit(manifest: Manifest) -> None:
        name = manifest["metadata"]["name"]
        manifest["spec"]["deviceUsage"][key.format(name=name, other=f"{name[:-1]}x")] = text

    return edit


def drop_key(index: int) -> Edit:
    """Remove the key of a slot."""

    def edit(manifest: Manifest) -> None:
        del manifest["spec"]["deviceUsage"][slot(manifest["metadata"]["name"], index)]

    return edit


def nodes(*names: str) -> Edit:
    """Write the whole list of nodes."""
    return spec(nodes=list(names))


def spec(**fields: object) -> Edit:
    """Write fields of the spec."""

    def edit(manifest: Manifest) -> None:
        manifest["spec"] |= fields

    return edit


def meta(**fields: object) -> Edit:
    """Write fields of the metadata."""

    def edit(manifest: Manifest) -> None:
        manifest["metadata"] |= fields

    return edit


def annotate(name: str, text: str) -> Edit:
    """Write an annotation."""

    def edit(manifest: Manifest) -> None:
        annotations_of(manifest)[name] = text

    return edit


def drop_annotation(name: str) -> Edit:
    """Remove an annotation."""

    def edit(manifest: Manifest) -> None:
        del annotations_of(manifest)[name]

    return edit


def cut_report(manifest: Manifest) -> None:
    """Make a report that of no node, on a Configuration whose name leaves no room for a node's, and cut its name."""
    configuration = manifest["spec"]["configurationName"].ljust(253, "c")
    manifest["spec"] |= {"configurationName": configuration, "nodeName": ""}
    manifest["metadata"] |= {"name": f"{configuration[:244]}-00000000", "ownerReferences": [owner(name=configuration)]}


def fence(text: str) -> Edit:
    """Write the fence."""
    return annotate(FENCE, text)


def own(**fields: object) -> Edit:
    """Write fields of the first owner reference."""

    def edit(manifest: Manifest) -> None:
        manifest["metadata"]["ownerReferences"][0] |= fields

    return edit


def add_owner(**fields: object) -> Edit:
    """Add an owner reference."""

    def edit(manifest: Manifest) -> None:
        manifest["metadata"]["ownerReferences"].append(owner(**fields))

    return edit


def rename(name: str) -> Edit:
    """Give an object another name; `{configuration}` is that of its Configuration."""

    def edit(manifest: Manifest) -> None:
        manifest["metadata"]["name"] = name.format(configuration=manifest["spec"]["configurationName"])

    return edit


def nothing(manifest: Manifest) -> None:
    """Write the object as it is."""
    assert manifest
