"""The neural-ODE block: velocity net, integrators, block."""
