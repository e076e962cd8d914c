"""Model families: one file each, named like its space in `search_spaces.library`."""
