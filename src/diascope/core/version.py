"""The version of Diascope."""

VERSION = "0.1.0"
