"""Files that run without Supernaut: how a module is written, checked and packed."""
