"""The frozen model: loaded once, read by its parts, shared by all trials of a pack, and changed by them at sites."""
