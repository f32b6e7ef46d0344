"""The order of the stages, results on disk and the command line."""
