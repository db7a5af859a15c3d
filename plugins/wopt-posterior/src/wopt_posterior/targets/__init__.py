"""Models of probabilistic programming languages as densities for :func:`wopt.sample`.

Each is an adapter that imports its language when called: none is needed by this package.
"""
