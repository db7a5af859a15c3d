"""Names what the plugin brings."""

import wopt

WOPT_API = (1, 0)
PARTS = {
    "objective": "drift", "scheme": "heavy", "block": "stretch", "target": "bowl",
    "source": "cloud", "step_size": "harmonic", "tracker": "diary",
}  # fmt: skip


@wopt.hookimpl
def wopt_register(registry):
    for kind, name in PARTS.items():
        registry.add(kind, name, f"wopt_visitor.parts:{name.title()}", summary="of a visitor")
