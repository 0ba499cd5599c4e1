"""The engine without `await`, for hosts that block: one background thread runs it, any thread may ask it."""

from grantflow._sync._engine import SyncEngine

__all__ = ["SyncEngine"]
