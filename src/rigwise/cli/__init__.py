"""The command line: parsing and printing, one thin function a command."""
