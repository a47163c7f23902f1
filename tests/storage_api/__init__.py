"""A double of Supabase's Storage API, pinned to the answers the real one gave."""

from tests.storage_api.server import PUBLISHABLE_KEY, SECRET_KEY, StorageApi

__all__ = ["PUBLISHABLE_KEY", "SECRET_KEY", "StorageApi"]
