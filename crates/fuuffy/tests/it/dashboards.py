"""Reads a dashboard by Grafana's own models of it, and writes it down again. Reads JSON and writes JSON: what of it came
out otherwise, by its place."""

import json
import sys

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard


def lost(written, read, place=""):
    """What is written and was not read so. What has a default may come besides."""
    if isinstance(written, dict) and isinstance(read, dict):
        return [it for name in written for it in (lost(written[name], read[name], f"{place}/{name}") if name in read else [f"{place}/{name}"])]
    if isinstance(written, list) and isinstance(read, list) and len(written) == len(read):
        return [it for at, (one, other) in enumerate(zip(written, read)) for it in lost(one, other, f"{place}/{at}")]
    return [] if written == read else [place]


register_default_plugins()
dashboard = json.load(sys.stdin)
json.dump(lost(dashboard, json.loads(JSONEncoder().encode(Dashboard.from_json(dashboard)))), sys.stdout)
