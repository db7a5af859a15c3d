"""Names what the plugin brings."""

import wopt

WOPT_API = (1, 0)


@wopt.hookimpl
def wopt_register(registry):
    place = "wopt_visitor.parts:"
    registry.add("objective", "drift", place + "Drift", summary="E V of a target")
    registry.add("scheme", "heavy", place + "Heavy", summary="jko that pays more for transport")
    registry.add("block", "stretch", place + "Stretch", summary="a factor and a shift each")
    registry.add("target", "bowl", place + "Bowl", summary="a quadratic potential")
    registry.add("source", "cloud", place + "Cloud", summary="draws of a normal law")
    registry.add("step_size", "harmonic", place + "Harmonic", summary="h / (n + 1)")
    registry.add("tracker", "diary", place + "Diary", summary="lines in a file")
