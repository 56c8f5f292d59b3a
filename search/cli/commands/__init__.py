"""The commands, one file each: thin, with every heavy import inside."""
