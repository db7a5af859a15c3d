"""The errors that wopt raises, with messages of what, why, and what to do."""


class WoptError(Exception):
    """Root of every error that wopt raises on purpose; the command line shows its text only."""

    exit_code = 1


class UserError(WoptError):
    """A mistake in the input; the command line answers with exit status 2."""

    exit_code = 2


class ConfigError(UserError):
    """A configuration that cannot be used: an unknown key, a bad value, an unknown name."""


class DataError(UserError):
    """Data that cannot be used: a missing file or column, NaN, a wrong shape."""


class CapabilityError(UserError):
    """Parts that do not fit together, found before any work starts."""


class PluginError(UserError):
    """A plugin that failed to load, or that registered something invalid."""


class RunError(WoptError):
    """A run directory that is damaged or cannot be written."""


class DamagedError(RunError):
    """A file that cannot be used: damaged, of another version, a link; exit status 2."""

    exit_code = 2


class BusyError(RunError):
    """A run directory that another process is writing."""


class TeamError(WoptError):
    """A process of a run of several processes that ended or does not answer."""


class CertificateError(WoptError):
    """A certificate that cannot be measured; its run stays valid."""


class Converged(WoptError):
    """A proximal step whose best map, on held-out particles, is the identity."""


class DivergenceError(WoptError):
    """A proximal step that could not be made: every retry was rejected by the guard."""
