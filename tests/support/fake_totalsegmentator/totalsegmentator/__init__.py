"""Stands in for TotalSegmentator: the same interface, and a threshold for a network."""
