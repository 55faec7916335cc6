"""The use cases, one function each: run, tune, judge (on the test side), audit, probe, explain.

They take values, tell events (core.events) to whoever shows them, write what they are named after, and return results.
The command line and `diascope.api` are two thin ways to call them.
"""
