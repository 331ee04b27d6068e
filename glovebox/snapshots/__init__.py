"""Archives of commits: read as hostile input, compared with what the commit holds, taken from their host."""
