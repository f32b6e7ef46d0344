"""Every study of an export, planned side by side, with nothing lost when the run is stopped."""
