"""The commands, a file for each group: they read their options and call what does the work."""
