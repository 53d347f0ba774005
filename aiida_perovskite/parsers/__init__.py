"""Files that jobs leave -> nodes and exit codes."""
