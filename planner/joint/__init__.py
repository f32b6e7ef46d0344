"""The sacroiliac joint: mid-surface, gap, zones, thirds."""
