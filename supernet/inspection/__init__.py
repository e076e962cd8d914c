"""What a factory builds and how it behaves, looked at before any training.

Nothing here measures or exports; who joins this with costs and exports stands above this package.
"""
