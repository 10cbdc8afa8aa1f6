"""The tasks that come with the package, on data that needs no download; each file has one function `task`."""
