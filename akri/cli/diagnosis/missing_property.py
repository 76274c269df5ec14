"""A discovery property whose Secret or ConfigMap is not there: which one, and what makes it."""

from __future__ import annotations

import json
from shlex import quote

from akri.cli.diagnosis.sight import Where
from akri.core.configuration import Configuration
from akri.core.properties import FromSecret, Reference, needs

__all__ = ["missing_property"]


def missing_property(configuration: Configuration, text: str, where: Where) -> tuple[str, str]:
    """Name the Secret or ConfigMap that an error speaks of, and say how to make it."""
    reference = next((one for one in needs(configuration.discovery.properties) if _named(one) in text), None)
    if reference is None:
        title = f"A discovery property of Configuration {configuration.key} is missing: {text}"
        return title, f"Make what it names, or correct the reference: {where.command('edit', configuration.name, configuration.key)}"
    lack = f"has no key {reference.key}" if f"has no key '{reference.key}'" in text else "is missing"
    title = (
        f"{_named(reference)} {lack}: Configuration {configuration.key} takes its discovery property {reference.name} from it, "
        "and no handler is asked before"
    )
    return title, f"Make it: {_making(reference, where, there='has no key' in lack)}"


def _named(reference: Reference) -> str:
    return f"{'Secret' if isinstance(reference, FromSecret) else 'ConfigMap'} {reference.source}"


def _making(reference: Reference, where: Where, *, there: bool) -> str:
    source, secret, key = reference.source, isinstance(reference, FromSecret), reference.key
    if where.state:
        folder = f"{where.state}/data/{'secrets' if secret else 'configmaps'}/{source.namespace}/{source.name}"
        file = quote(f"{folder}/{key}")
        return f"install -d -m 700 {quote(folder)} && (umask 077; printf %s VALUE > {file})"
    name = f"{quote(source.name)} -n {quote(source.namespace)}"
    if there:
        patch = quote(json.dumps({"stringData" if secret else "data": {key: "VALUE"}}))
        return f"kubectl patch {'secret' if secret else 'configmap'} {name} -p {patch}"
    return f"kubectl create {'secret generic' if secret else 'configmap'} {name} {quote(f'--from-literal={key}=VALUE')}"
