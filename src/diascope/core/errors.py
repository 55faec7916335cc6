"""Errors that a user can act on: what happened, where, and the remedy."""


class DiascopeError(Exception):
    """An error caused by input or environment, never by a defect of Diascope itself.

    `str()` gives "where: what; remedy"; parts that are empty are left out.
    """

    def __init__(self, what: str, *, where: str = "", remedy: str = "") -> None:
        super().__init__(what)
        self.what, self.where, self.remedy = what, where, remedy

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where else ""
        remedy = f"; {self.remedy}" if self.remedy else ""
        return f"{place}{self.what}{remedy}"


class ConfigError(DiascopeError):
    """A study file, an override or an option that cannot be used."""


class DataError(DiascopeError):
    """Images, labels or splits that cannot be used."""


class RunError(DiascopeError):
    """A study or run folder that cannot be written, read or continued."""
